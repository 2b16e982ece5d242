// Somebody on Nostr by nostr-tools, told what to do by lines of JSON and telling what arrives.
// Arguments: nip17 or nip04, then relays. First line out: who it is.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const require = createRequire(join(process.env.LAZARUS_NODE_MODULES, 'x.js'))
const { finalizeEvent, generateSecretKey, getPublicKey, verifyEvent } = require('nostr-tools/pure')
const { Relay, useWebSocketImplementation } = require('nostr-tools/relay')
const nip04 = require('nostr-tools/nip04')
const nip17 = require('nostr-tools/nip17')
const nip19 = require('nostr-tools/nip19')
const nip59 = require('nostr-tools/nip59')
useWebSocketImplementation(require('ws'))

const [mode, ...urls] = process.argv.slice(2)
const secret = process.env.OPERATOR_NSEC ? nip19.decode(process.env.OPERATOR_NSEC).data : generateSecretKey()
const me = getPublicKey(secret)
const wrapped = mode === 'nip17'
const seen = new Set()
const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n')

async function open(event) {
  if (seen.has(event.id)) return
  seen.add(event.id)
  if (!verifyEvent(event)) throw new Error('a bad signature')
  const letter = wrapped ? nip17.unwrapEvent(event, secret) : event
  const text = wrapped ? letter.content : await nip04.decrypt(secret, event.pubkey, event.content)
  const about = letter.tags.filter((tag) => tag[0] === 'e').map((tag) => tag[1])
  const relay = event.kind === 1059 ? 'wrapped' : 'plain'
  tell({ id: letter.id, by: letter.pubkey, text, about: about.at(-1) ?? '', kind: letter.kind, relay })
}

const relays = []
for (const url of urls) {
  const relay = await Relay.connect(url)
  relay.onnotice = () => {} // It would be printed.
  relays.push(relay)
  relay.subscribe([{ kinds: [wrapped ? 1059 : 4], '#p': [me] }], { onevent: (event) => void open(event) })
}
tell({ npub: nip19.npubEncode(me), nsec: nip19.nsecEncode(secret) })

async function made({ to, text, about, as }) {
  const reply = about ? { eventId: about } : undefined
  if (!wrapped) {
    const tags = [['p', to], ...(about ? [['e', about]] : [])]
    const content = await nip04.encrypt(secret, to, text)
    return finalizeEvent({ kind: 4, created_at: Math.floor(Date.now() / 1000), tags, content }, secret)
  }
  if (!as) return nip17.wrapEvent(secret, { publicKey: to }, text, undefined, reply)
  // A rumor in somebody else's name, in a seal of our own.
  const rumor = { ...nip59.createRumor({ kind: 14, content: text, tags: [['p', to]] }, secret), pubkey: as }
  return nip59.createWrap(nip59.createSeal(rumor, secret, to), to)
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  order.to = nip19.decode(order.to).data
  if (order.as) order.as = nip19.decode(order.as).data
  const event = order.plain ? { kind: 4, pubkey: '', tags: [['p', order.to]], content: order.text } : await made(order)
  const told = []
  for (const relay of relays) {
    if (order.only && !relay.url.startsWith(order.only)) continue
    told.push(await relay.publish(event).then(() => 'ok', (error) => String(error)))
  }
  tell({ said: told })
}
