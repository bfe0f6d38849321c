'use strict'
// The genuine Java client for gRPC, which reaches a cluster through a proxy: scripts/peers/grpc/GroupPeer.java.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { peerCommand } = require('../../scripts/rocketmq/peer')

const SOURCE = path.join(__dirname, '..', '..', 'scripts', 'peers', 'grpc', 'GroupPeer.java')
const VERSION = '5.5.0'

/** Sends one message for each of the message groups, one after another; its body is the group. @param {{ proxy: string, topic: string, groups: string[] }} options */
async function produce({ proxy, topic, groups }) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-peer-'))
  try {
    const [command, ...args] = await peerCommand(SOURCE, { version: VERSION, home, kind: 'grpc' })
    await new Promise((resolve, reject) => {
      const child = execFile(command, [...args, proxy, topic], { cwd: home }, (error, _, stderr) =>
        error ? reject(new Error(`The Java client failed: ${stderr || error.message}`)) : resolve(),
      )
      child.stdin.on('error', () => {})
      child.stdin.end(groups.map((group) => `${group}\n`).join(''))
    })
  } finally {
    fs.rmSync(home, { recursive: true, force: true, maxRetries: 3 })
  }
}

module.exports = { produce }
