// Primer for Node.js: `import { open } from 'primer'`. See lib.cjs.

import primer from './lib.cjs'

export const {
  open, start,
  Primer, Queue, Subscription, Events, Topic, Watch, Broadcast, Delivery, Receipt, Reply, Page, Browsed,
  Explanation, Account, Redriven, Diagnosis, Finding, Facts, Worker, Reject,
  PrimerError, WrongCall, NotNow, InDoubt, TooLate, MemberDown,
} = primer
export default primer
