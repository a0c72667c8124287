'use strict'
// Finds and loads the native layer: `primer.node` beside package.json, put there by build.sh. It is one
// Node-API library for all versions of Node.js from 20 on, so there is nothing to choose but the file.

const { join } = require('node:path')

const file = join(__dirname, '..', 'primer.node')

try {
  module.exports = require(file)
} catch (cause) {
  throw new Error(`primer: the native layer cannot be loaded from ${file}; build it with build.sh`, { cause })
}
