// The second step of the journey: takes what Python sent, adds its name, passes it on.
import { open } from 'primer'

const member = await open({ cluster: 'journey', seeds: process.argv[2] })
const letter = await member.queue('to-node').receive({ wait: '30s' })
await member.queue('to-erlang').enqueue(`${letter.text()} Node.js`, { copies: 2, headers: letter.headers })
letter.ack()
await member.queue('stay').receive({ wait: '60s' }) // a member until the journey is over
await member.close()
