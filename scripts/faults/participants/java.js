'use strict'
// The genuine Java client as a participant: one argument, the same JSON as of ours.

const path = require('node:path')
const { peerCommand } = require('../../rocketmq/peer')

const SOURCE = path.join(__dirname, 'java', 'FaultPeer.java')

/**
 * The command line of a participant.
 * @param {Record<string, any>} given as of every participant; `options.awaited: false`: sends are asynchronous, and not awaited
 * @param {{ version: string, home: string }} client which one, and where it may write
 */
async function command({ options = {}, ...given }, client) {
  const pairs = Object.entries({ ...given, ...options }).filter(([, value]) => typeof value !== 'object')
  return [...(await peerCommand(SOURCE, client)), ...pairs.map(([name, value]) => `${name}=${value}`)]
}

module.exports = { command }
