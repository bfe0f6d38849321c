'use strict'
// 30 worker threads one after the other, none of which closes its clients: terminated, or ended by their own process.exit().
const path = require('node:path')
const { Worker } = require('node:worker_threads')

const [nameServer, group, ...topics] = process.argv.slice(2)
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

async function main() {
  for (let i = 0; i < topics.length; i++) {
    const exits = i % 2 === 1
    const workerData = { nameServer, groupId: `${group}-${i}`, topic: topics[i], exits }
    const worker = new Worker(path.join(__dirname, 'worker.js'), { workerData })
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    await new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    if (!exits) await worker.terminate()
    say({ event: 'ended', i, code: await ended })
  }
  say({ event: 'all' }) // and the process ends by itself
}
main()
