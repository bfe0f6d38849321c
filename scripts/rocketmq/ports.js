'use strict'
// Free TCP ports below the range from which systems take the local ports of outgoing connections.

const net = require('node:net')

const FIRST = 20000
const LAST = 32000
/** Ports a broker occupies around its listening port: the "fast" one and the one of its replication service. */
const AROUND = [-2, 0, 1]
const taken = new Set()
/** Processes that run side by side choose from ports of their own: one that is free while its server is restarted stays free. */
const SHARES = 4
const SHARE = Number(process.env.JEST_WORKER_ID ?? 0) % SHARES

/** A base port with `base + offset` free for every offset; not handed out twice by this process. */
async function freePort(offsets = [0]) {
  for (let attempt = 0; attempt < 200; attempt++) {
    // Steps of 8, so that the ports around two bases cannot meet.
    const step = SHARES * Math.floor((Math.random() * (LAST - FIRST)) / 8 / SHARES) + SHARE
    const base = FIRST + 8 * step + 2
    if (taken.has(base)) continue
    const free = await Promise.all(offsets.map((offset) => isFree(base + offset)))
    if (free.every(Boolean)) {
      taken.add(base)
      return base
    }
  }
  throw new Error(`No free TCP ports between ${FIRST} and ${LAST}`)
}

/** A port for a broker, with its neighbours free. */
function freeBrokerPort() {
  return freePort(AROUND)
}

/** Whether nobody listens on the port, on any address: some servers bind all of them. */
function isFree(port) {
  return new Promise((resolve) => {
    const probe = net.createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '0.0.0.0', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

module.exports = { freePort, freeBrokerPort }
