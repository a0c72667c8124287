// The package as it is loaded: by import, by require, and with its types.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import primer, * as names from 'primer'

const require = createRequire(import.meta.url)
const here = (path) => fileURLToPath(new URL(path, import.meta.url))

test('import and require show the same values, so that there is one library', () => {
  const required = require('primer')
  const { default: whole, ...named } = names
  assert.equal(whole, required)
  assert.equal(whole, primer)
  assert.deepEqual({ ...named }, { ...required })
  assert.equal(typeof named.open, 'function')
})

test('a handle is made by a verb, never by new', () => {
  assert.throws(() => new primer.Primer(), TypeError)
})

test('the types are strict, find mistakes, and what they promise is what runs', (t) => {
  const tsc = require.resolve('typescript/bin/tsc')
  // Inside the package, so that its own name leads to it.
  mkdirSync(here('types/out'), { recursive: true })
  const out = mkdtempSync(here('types/out/'))
  t.after(() => rmSync(out, { recursive: true }))
  const run = (...args) => execFileSync(process.execPath, args, { encoding: 'utf8' })
  try {
    run(tsc, '--project', here('types'), '--outDir', out)
  } catch (error) {
    assert.fail(`tsc: ${error.stdout}`)
  }
  const told = {
    to: 'ada', kind: 'hello', others: ['bob', 'eve'], members: 1, event: null, let_go: null, count: 'number',
    news: { told: 'all', change: 'red', entry: 'red', colour: 'red' },
  }
  assert.deepEqual(JSON.parse(run(`${out}/sample.mjs`)), told)
  assert.equal(run(`${out}/sample.cjs`), 'one\n')
})

test('a library without its native layer says what is missing', () => {
  const script = `
    const Module = require('node:module')
    Module._extensions['.node'] = () => { throw new Error('not there') }
    require('primer')`
  const run = () => execFileSync(process.execPath, ['-e', script], { cwd: here('..'), encoding: 'utf8', stdio: 'pipe' })
  assert.throws(run, /the native layer cannot be loaded from .*primer\.node; build it with build\.sh/)
})
