'use strict'
// Worker threads of one group, some at a time, each ended in the middle of its work, most of them without close(). A participant as
// scripts/faults/participant.js has it; `workers`: how many there are, `atOnce`: how many at one time. When all have ended it tells so, with what
// they have left behind.

const path = require('node:path')
const readline = require('node:readline')
const { Worker } = require('node:worker_threads')
const { handles, Memory, newHandles } = require('../../endurance/process-figures')

const { nameServer, topic, group, workers, atOnce } = JSON.parse(process.argv[2])
const FATES = ['closed', 'sending', 'handling', 'spinning', 'exiting', 'starting']
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`)

/** One thread from its start to its end. */
async function live(i) {
  const fate = FATES[i % FATES.length]
  const workerData = { nameServer, group, topic, name: `worker-${i}`, fate }
  const worker = new Worker(path.join(__dirname, 'worker.js'), { workerData })
  const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  if (fate !== 'exiting') {
    await Promise.race([new Promise((resolve) => worker.once('message', resolve)), ended])
    if (fate === 'closed') worker.postMessage('close')
    else await worker.terminate()
  }
  await ended
}

async function main() {
  const memory = new Memory()
  let next = 0
  // What the first one needs, stays.
  await live(next++)
  const before = handles()
  const lives = async () => {
    while (next < workers) {
      await live(next++)
      memory.sample()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lives))
  say('ended', { ...newHandles(before, handles()), ...memory.figures() })
}

const all = main()
const input = readline.createInterface({ input: process.stdin })
// Told once, to close.
input.on('line', async () => {
  await all
  say('closed')
  process.stdin.destroy()
})
// Whoever started this is gone, or it is done.
input.on('close', () => process.exit())
say('started')
