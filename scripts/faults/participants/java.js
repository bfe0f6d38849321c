'use strict'
// The genuine Java client as a participant: how it is started.

const path = require('node:path')
const { peerCommand } = require('../../rocketmq/peer')

const SOURCE = path.join(__dirname, 'java', 'FaultPeer.java')

/** The command line of the client of one version; its logs go beside the history. @param {string} version */
const javaCommand =
  (version) =>
  /** @param {import('../participant').Part} part */
  ({ history }) =>
    peerCommand(SOURCE, { version, home: path.dirname(history) })

module.exports = { javaCommand }
