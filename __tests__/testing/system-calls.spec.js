'use strict'
// What an awaited send asks of the system: each call is time, on a busy machine above all.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')
const { TestBroker } = require('../../testing')
const { expectBaseline } = require('../support/baseline')
const { testWith } = require('../support/tools')

/** What happens once is gone in the difference. */
const [FEW, MANY] = [200, 1_200]

const CLIENT = `
  const { Producer } = require(${JSON.stringify(path.join(__dirname, '..', '..'))})
  const [nameServer, count] = process.argv.slice(1)
  const run = async () => {
    const producer = await new Producer({ groupId: 'GID_calls', nameServer }).start()
    for (let i = 0; i < Number(count); i++) await producer.sendOrderly({ topic: 'orders', body: 'x'.repeat(100) }, 'one')
    await producer.close()
  }
  run()`

/**
 * System calls of a whole process that sends so often, and awaits each; the broker is in this one. Without those of locks, which depend on what
 * else the machine does.
 */
async function systemCalls(nameServer, count) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'strace-'))
  const file = path.join(folder, 'counts')
  try {
    const client = [process.execPath, '-e', CLIENT, nameServer, String(count)]
    await promisify(execFile)('strace', ['-f', '-c', '-U', 'calls,name', '-o', file, ...client])
    const counts = fs.readFileSync(file, 'utf8').matchAll(/^\s*(\d+)\s+(\w+)$/gm)
    const byName = Object.fromEntries([...counts].map(([, calls, name]) => [name, Number(calls)]))
    return byName.total - (byName.futex ?? 0)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

testWith('strace')(
  'system calls of an awaited send are no more than they were',
  async () => {
    const broker = await TestBroker.start({ topics: { orders: 1 } })
    try {
      const few = await systemCalls(broker.nameServer, FEW)
      const many = await systemCalls(broker.nameServer, MANY)
      expectBaseline('system calls of 100 awaited sends', (100 * (many - few)) / (MANY - FEW), { above: 0.2 })
    } finally {
      await broker.close()
    }
  },
  300_000,
)
