// A model on loopback that does as its task says: the npm package aimock with one answer to everything.
//
// A task holds one line `SCRIPT {...}`: `before` and `after` are the steps of a life that has just begun and of one
// that was brought back. A step is a command for the program's shell, or {"tool", "args"} for a tool by its name.
// In a command, {remembered} is how many results of the time before the death stand in the conversation, and {mail}
// whether the program has shown its model mail of other members.
// {"say"} is an answer in words, in which {lives} is how many tasks stand in the conversation from before the death;
// {"stall"} is none at all.
// `fault`, of the script or of a step, has the model refuse: an HTTP status, and what it says.
import { createRequire } from "node:module";

const { LLMock } = createRequire(`${process.argv[2]}/`)("@copilotkit/aimock");
const SHELLS = { Bash: "command", exec_command: "cmd", shell_command: "command", bash: "command", run_shell_command: "command" };
const LATER = "not there yet";

const text = (content) =>
  typeof content === "string" ? content : Array.isArray(content) ? content.map((part) => part.text ?? "").join("\n") : "";

function answer(request) {
  const said = request.messages;
  const told = said.map((one, at) => ({ at, role: one.role, text: text(one.content) })).filter((one) => one.role === "user");
  const task = told.findLast((one) => one.text.includes("SCRIPT {"));
  if (!task) return { content: "Nothing to do." };
  const line = task.text.match(/SCRIPT (\{.*\})/)[1];
  const script = JSON.parse(line.startsWith('{\\"') ? JSON.parse(`"${line}"`) : line); // Some programs quote their task.
  if (script.fault) return refusal(script.fault);
  const revived = told.findLast((one) => one.text.includes("[lazarus-pit]"));
  const begun = revived ? revived.at : task.at;
  const results = (from, to) => said.slice(from, to).filter((one) => one.role === "tool" && !text(one.content).includes(LATER)).length;
  const step = (revived ? script.after : script.before)?.[results(begun)];
  if (step === undefined) return { content: "The job is done." };
  if (step.fault) return refusal(step.fault);
  if (step.stall) return new Promise(() => {});
  const lives = told.filter((one) => one.at < begun && one.text.includes("SCRIPT {")).length;
  if (step.say) return { content: step.say.replaceAll("{lives}", String(lives)) };
  const tools = (request.tools ?? []).map((one) => one.function?.name);
  if (step.tool) {
    const name = tools.find((one) => one?.endsWith(step.tool));
    return name ? call(name, step.args) : shell(tools, `sleep 0.5; echo ${LATER}`);
  }
  const mail = JSON.stringify(said).includes("It is from other members of your mission");
  return shell(tools, step.replaceAll("{remembered}", String(results(0, begun))).replaceAll("{mail}", String(mail)));
}

const refusal = ({ status, ...error }) => ({ error, status });
const call = (name, args) => ({ toolCalls: [{ name, arguments: JSON.stringify(args) }] });

function shell(tools, command) {
  const name = Object.keys(SHELLS).find((one) => tools.includes(one));
  return name ? call(name, { [SHELLS[name]]: command }) : { content: "There is no shell." };
}

const mock = new LLMock({ port: 0, host: "127.0.0.1", logLevel: "silent" });
mock.addFixture({ match: { predicate: () => true }, response: answer });
await mock.start();
console.log(mock.url);
