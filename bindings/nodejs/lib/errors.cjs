'use strict'
// One error type, a class for each hundred of its number: the hundred says what the caller should do.

/** Why a verb failed: `number` is stable, `kind` its name, `context` the values that matter. */
class PrimerError extends Error {
  constructor({ number, kind, reason, message, context }) {
    super(message)
    this.number = number
    this.kind = kind
    this.code = `PRIMER_${kind.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()}`
    this.reason = reason
    this.context = context
  }

  get name() {
    return this.constructor.name
  }
}

/** 1xx: mend the call; nothing happened. */
class WrongCall extends PrimerError {}
/** 2xx: try again later; nothing happened. */
class NotNow extends PrimerError {
  /** When to try again, in ms; undefined where that is not known. */
  get retryAfterMs() {
    const ms = this.context.retry_after_ms
    return ms === undefined ? undefined : Number(ms)
  }
}
/** 3xx: it may have happened; retry if a duplicate is harmless. */
class InDoubt extends PrimerError {}
/** 4xx: let it go. */
class TooLate extends PrimerError {}
/** 5xx: this member must stop or be opened again. */
class MemberDown extends PrimerError {}

const HUNDREDS = { 1: WrongCall, 2: NotNow, 3: InDoubt, 4: TooLate, 5: MemberDown }

/** The error of a native failure, whose context is names and values in turn. */
function errorOf({ number, kind, reason, message, context }) {
  const values = {}
  for (let i = 0; i + 1 < context.length; i += 2) values[context[i]] = context[i + 1]
  const Class = HUNDREDS[Math.floor(number / 100)] ?? PrimerError
  return new Class({ number, kind, reason, message, context: values })
}

/** A 101 that was found before the native layer was asked. */
function wrong(reason, context = {}) {
  const values = Object.entries(context).map(([key, value]) => `${key} = ${value}`)
  const tail = values.length > 0 ? ` (${values.join(', ')})` : ''
  return new WrongCall({
    number: 101,
    kind: 'InvalidArgument',
    reason,
    message: `101 InvalidArgument: ${reason}${tail}`,
    context,
  })
}

/** A 501 of something that is closed on this side of the native layer already. */
function closed(reason) {
  return new MemberDown({ number: 501, kind: 'Closed', reason, message: `501 Closed: ${reason}`, context: {} })
}

module.exports = { PrimerError, WrongCall, NotNow, InDoubt, TooLate, MemberDown, closed, errorOf, wrong }
