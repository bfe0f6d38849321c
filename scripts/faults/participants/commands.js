'use strict'
// How the participants of other clients are started; what they need is fetched on first use.

const path = require('node:path')
const { installNode } = require('../../../benches/peers/install')
const { peerCommand } = require('../../rocketmq/peer')

/** The genuine Java client of one version; its logs go beside the history. @param {string} version */
const javaCommand =
  (version) =>
  /** @param {import('../participant').Part} part */
  ({ history }) =>
    peerCommand(path.join(__dirname, 'java', 'FaultPeer.java'), { version, home: path.dirname(history) })

async function aliOnsCommand() {
  await installNode()
  return [process.execPath, path.join(__dirname, 'ali-ons.js')]
}

module.exports = { aliOnsCommand, javaCommand }
