'use strict'
// Primer for Node.js: `require('primer')`. The library is CommonJS; lib.mjs shows the same values to `import`,
// so that a program that uses both has one library and one set of classes.

// Node.js 20 has these symbols; the oldest releases of it and other hosts may not.
for (const name of ['dispose', 'asyncDispose']) {
  if (!Symbol[name]) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) })
}

const { InDoubt, MemberDown, NotNow, PrimerError, TooLate, WrongCall } = require('./lib/errors.cjs')
const { Delivery } = require('./lib/delivery.cjs')
const { Broadcast, Events, Topic, Watch } = require('./lib/news.cjs')
const { Subscription } = require('./lib/reader.cjs')
const { Queue, Receipt } = require('./lib/queue.cjs')
const { Browsed, Page } = require('./lib/page.cjs')
const { Account, Explanation } = require('./lib/explanation.cjs')
const { Diagnosis, Facts, Finding } = require('./lib/diagnosis.cjs')
const { Redriven } = require('./lib/redriven.cjs')
const { Reply } = require('./lib/reply.cjs')
const { Reject, Worker } = require('./lib/worker.cjs')
const { Primer, open, start } = require('./lib/primer.cjs')

module.exports = {
  open, start,
  Primer, Queue, Subscription, Events, Topic, Watch, Broadcast, Delivery, Receipt, Reply, Page, Browsed,
  Explanation, Account, Redriven, Diagnosis, Finding, Facts, Worker, Reject,
  PrimerError, WrongCall, NotNow, InDoubt, TooLate, MemberDown,
}
