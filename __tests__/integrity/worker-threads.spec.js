'use strict'
// F19: worker threads end without close(), and take nobody with them.
const { admin, backend, childProcess, createTopic, uniqueGroup, until } = require('../support')

const WORKERS = 30

test('30 worker threads end with open clients: no crash, the process ends by itself, the locks are given back', async () => {
  const topics = await Promise.all(Array.from({ length: WORKERS }, () => createTopic({ queues: 2 })))
  const group = uniqueGroup()
  const child = childProcess('integrity/workers.js', [backend.nameServer, group, ...topics])
  await child.line(({ event }) => event === 'all', { timeoutMs: 180_000 })
  const locked = async () => {
    const free = await Promise.all(topics.map((topic, i) => admin.lockProbe(`${group}-${i}`, topic, [0, 1])))
    return free.filter((queues) => queues.length < 2).length
  }
  // All but the last few, whose unlocks may be cut off by the end of the process.
  await until(async () => (await locked()) <= 3, { timeoutMs: 30_000, what: 'locks to be given back' })
  expect(await child.ended).toEqual({ code: 0, signal: null })
  expect(child.lines.filter(({ event }) => event === 'ended')).toHaveLength(WORKERS)
  expect(child.errors).toBe('')
}, 240_000)
