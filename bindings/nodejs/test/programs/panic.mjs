// Lets the canary sing: a panic inside a verb, and one outside of our own guard. Needs feature `canary`.

import native from '../../lib/native.cjs'
import { open } from 'primer'

const code = native.canary(true)
console.log('inside', native.failure(-code).number)
try {
  native.canary(false)
} catch {
  console.log('outside caught')
}

const primer = await open()
await primer.queue('jobs').enqueue('one')
console.log('alive', (await primer.queue('jobs').receive()).text())
await primer.close()
