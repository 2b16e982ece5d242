"""Plugins in JavaScript for programs whose hooks are no commands: they ask by ``lazarus hook``.

They do nothing in a life that was not told to ask: a plugin stays where it was once put.
"""

_ASK = """\
import { spawn } from "node:child_process";

// Returns why a call may not go on; nothing where it may.
const refusal = (name, input) => new Promise((resolve) => {
  if (process.env.LAZARUS_PERMISSIONS !== "ask") return resolve("");
  const stdio = ["pipe", "pipe", "inherit"];
  const hook = spawn("lazarus", ["hook", "--ask", "--mail", "PreToolUse"], { stdio });
  let said = "";
  hook.stdout.on("data", (part) => { said += part; });
  hook.stdin.on("error", () => {});
  hook.on("error", (error) => resolve(`people cannot be asked: ${error}`));
  hook.on("close", (code) => {
    try {
      const answer = said.trim() ? JSON.parse(said).hookSpecificOutput : {};
      if (code !== 0) resolve("people cannot be asked");
      else resolve(answer.permissionDecision === "deny" ? answer.permissionDecisionReason : "");
    } catch (error) {
      resolve(`people cannot be asked: ${error}`);
    }
  });
  hook.stdin.end(JSON.stringify({ tool_name: name, tool_input: input, permission_mode: "yolo" }));
});
"""

PI = f"""{_ASK}
export default function (pi) {{
  pi.on("tool_call", async (event) => {{
    const reason = await refusal(event.toolName, event.input);
    return reason ? {{ block: true, reason }} : undefined;
  }});
}}
"""

OPENCODE = f"""{_ASK}
export const Lazarus = async () => ({{
  "tool.execute.before": async (input, output) => {{
    const reason = await refusal(input.tool, output.args);
    if (reason) throw new Error(reason);
  }},
}});
"""
