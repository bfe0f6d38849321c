'use strict'
// W9: a member of a group that tells each message it handles, until it is told to leave.

const { keyOf } = require('./body')

let member

async function join(client, given) {
  member = await client.consumer(given, (body) => {
    process.stdout.write(`{"handled":${keyOf(body)}}\n`)
  })
  return { joined: true }
}

async function leave() {
  await member.close()
  return { left: true }
}

module.exports = { join, leave }
