// Primer for Node.js: `import { open } from 'primer'`. See lib.cjs.

import primer from './lib.cjs'

export const {
  open, start,
  Primer, Queue, Subscription, Events, Delivery, Receipt,
  PrimerError, WrongCall, NotNow, InDoubt, TooLate, MemberDown,
} = primer
export default primer
