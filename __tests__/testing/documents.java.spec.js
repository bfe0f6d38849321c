'use strict'
// The mqadmin commands of docs/operations.md, word for word but for the addresses, with the genuine tool of each version.

const { once } = require('node:events')
const { Producer, PushConsumer, deadLetter } = require('../..')
const { VERSIONS } = require('../../scripts/rocketmq/jars')
const { TestBroker } = require('../../testing')
const { AdminTool } = require('../support/admin-tool')
const { blocks } = require('../support/documents')
const { until } = require('../support/until')

jest.setTimeout(600_000)

const DOCUMENT = 'docs/operations.md'

/** The commands under a heading that are meant for a version: all, or those whose comment names its line. */
function commands(heading, version) {
  const lines = blocks(DOCUMENT)
    .filter((block) => block.heading === heading && block.language === 'sh')
    .flatMap(({ code }) => code.split('\n'))
  expect(lines).not.toEqual([])
  return lines.flatMap((line) => {
    const [, command, comment = ''] = /^mqadmin (.*?)(?: +# (.*))?$/.exec(line)
    const [, meant] = /^(\d)\.[\dx]\b/.exec(comment) ?? []
    return meant && !version.startsWith(meant) ? [] : [command]
  })
}

test.each(VERSIONS)('the commands for operators, with the tool of %s', async (version) => {
  const broker = await TestBroker.start({ version: version.slice(0, 3) })
  const tool = await AdminTool.start(version, broker.nameServer)
  const run = async (heading) => {
    const printed = []
    for (const command of commands(heading, version)) {
      const addressed = command
        .replace('127.0.0.1:9876', broker.nameServer)
        .replace('127.0.0.1:10911', broker.brokers[0])
      printed.push(await tool.run(...addressed.split(' ')))
    }
    expect(tool.errors).toBe('')
    expect(printed.join('\n')).not.toMatch(/exception|usage:/i)
    return printed.join('\n')
  }
  const consumer = new PushConsumer({ groupId: 'GID_billing', nameServer: broker.nameServer, suspendMs: 10 })
  consumer.subscribe('orders', (message) => {
    if (message.queue.queueId !== 3) return deadLetter('no order')
    throw new Error('the third queue is blocked')
  })
  try {
    expect(await run('Topics and groups')).toContain('writeQueueNums=16')
    await consumer.start()
    await until(() => consumer.assignment().length === 16, { what: 'all queues' })

    const blocked = new Promise((resolve) => consumer.on('suspended', resolve))
    const dead = once(consumer, 'deadLetter')
    const publish = (key) => broker.publish({ topic: 'orders', body: 'x' }, key)
    const keys = new Map()
    for (let i = 0; !keys.has(3) || keys.size < 2; i++) {
      const { queue } = await publish(`key-${i}`)
      keys.set(queue.queueId, `key-${i}`)
    }
    await Promise.all([blocked, dead])

    const reset = new Promise((resolve) => {
      consumer.on('offsetReset', (queue, { to }) => {
        if (queue.queueId === 3) resolve(to)
      })
    })
    await run('What blocks a queue, and how to see it')
    if (version.startsWith('5.')) {
      await publish(keys.get(3)) // ends the pull that is held, and the next one is told
      expect(await reset).toBe(1)
    }

    expect(await run('The dead-letter queue')).toContain('success')
  } finally {
    await consumer.close()
    await tool.close()
    await broker.close()
  }
})

test.each(VERSIONS)('the command that an error tells can be pasted, with the tool of %s', async (version) => {
  const broker = await TestBroker.start({ version: version.slice(0, 3), topics: { orders: 1 } })
  const tool = await AdminTool.start(version, broker.nameServer)
  const producer = new Producer({ groupId: 'GID_shop', nameServer: broker.nameServer, topics: ['payments'] })
  const consumer = new PushConsumer({ groupId: 'GID_billing', nameServer: broker.nameServer })
  const paste = async (text) => {
    const [, command] = /mqadmin (.*)$/.exec(text)
    expect(await tool.run(...command.split(' '))).toContain('success')
  }
  try {
    const missing = await producer.start().catch((error) => error)
    expect(missing).toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND' })
    await paste(missing.message)
    expect(await producer.start()).toBe(producer)

    await broker.createTopic('orders', { queues: 1, perm: 'w' })
    const warned = once(consumer, 'warning')
    await consumer.subscribe('orders', () => {}).start()
    const [unreadable] = await warned
    await paste(unreadable.message)
    await until(() => consumer.assignment().length === 1, { what: 'the queue' })
  } finally {
    await producer.close()
    await consumer.close()
    await tool.close()
    await broker.close()
  }
})
