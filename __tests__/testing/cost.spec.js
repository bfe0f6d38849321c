'use strict'
// What a test broker costs: it starts in a moment and leaves nothing behind.

const { execFile } = require('node:child_process')
const { promisify } = require('node:util')
const { TestBroker } = require('../../testing')

const CYCLES = 1_000
/** Until the allocator has all it ever wants. */
const WARM_UP = 2_000
/** In bytes per start and close; what the allocator keeps evens out far below it. */
const MOST_PER_CYCLE = 1_024

test('it starts in less than 50 ms', async () => {
  const times = []
  for (let i = 0; i < 11; i++) {
    const began = performance.now()
    const broker = await TestBroker.start({ topics: { orders: 8 }, brokers: 2 })
    times.push(performance.now() - began)
    await broker.close()
  }
  const median = times.sort((a, b) => a - b)[5]
  process.stdout.write(`TestBroker.start(): median ${median.toFixed(1)} ms, slowest ${times.at(-1).toFixed(1)} ms\n`)
  expect(median).toBeLessThan(50)
})

test(`${CYCLES} cycles of start and close leak nothing`, async () => {
  // In a process of its own, whose memory is nobody else's.
  const script = `
    const { TestBroker } = require(${JSON.stringify(require.resolve('../../testing.js'))})
    const fs = require('node:fs')
    const cycle = async () => {
      const broker = await TestBroker.start({ topics: { orders: 8 } })
      await broker.publish({ topic: 'orders', body: Buffer.alloc(1024) }, 'k')
      await broker.close()
    }
    ;(async () => {
      const measured = async () => {
        const samples = []
        for (let i = 0; i < ${CYCLES}; i++) {
          await cycle()
          if (i % 50 === 0) { global.gc(); samples.push([i, process.memoryUsage.rss()]) }
        }
        const mean = (k) => samples.reduce((sum, sample) => sum + sample[k], 0) / samples.length
        const [x, y] = [mean(0), mean(1)]
        return samples.reduce((s, [i, rss]) => s + (i - x) * (rss - y), 0) / samples.reduce((s, [i]) => s + (i - x) ** 2, 0)
      }
      for (let i = 0; i < ${WARM_UP}; i++) await cycle()
      let slope = await measured()
      // A single step of the allocator's may look like a leak; a leak goes on.
      if (slope >= ${MOST_PER_CYCLE}) slope = await measured()
      const handles = fs.existsSync('/proc/self/fd') ? fs.readdirSync('/proc/self/fd').length : 0
      console.log(JSON.stringify({ slope, rss: process.memoryUsage.rss(), handles }))
    })()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '-e', script])
  const { slope, rss, handles } = JSON.parse(stdout)
  process.stdout.write(
    `RSS slope: ${slope.toFixed(0)} bytes per cycle at ${(rss / 2 ** 20).toFixed(0)} MiB; ${handles} open files\n`,
  )
  expect(slope).toBeLessThan(MOST_PER_CYCLE)
  expect(handles).toBeLessThan(60)
}, 300_000)

test('a process ends by itself once its broker is closed', async () => {
  const script = `
    const { TestBroker } = require(${JSON.stringify(require.resolve('../../testing.js'))})
    TestBroker.start({ topics: ['orders'] }).then((broker) => broker.close()).then(() => console.log('closed'))`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { timeout: 60_000 })
  expect(stdout).toBe('closed\n')
})
