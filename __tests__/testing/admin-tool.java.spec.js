'use strict'
// RocketMQ's genuine admin tool, of both versions, at work on TestBroker.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')
const { PushConsumer } = require('../..')
const { VERSIONS } = require('../../scripts/rocketmq/jars')
const { peerCommand } = require('../../scripts/rocketmq/peer')
const { TestBroker } = require('../../testing')

const SOURCE = path.join(__dirname, '..', '..', 'scripts', 'peers', 'java', 'AdminPeer.java')
/** The tool does nothing without its log settings, under one name or the other. */
const LOGBACK = '<?xml version="1.0" encoding="UTF-8"?><configuration><root level="OFF"/></configuration>'

jest.setTimeout(180_000)

class AdminTool {
  static async start(version, nameServer) {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-admin-'))
    fs.mkdirSync(path.join(home, 'conf'))
    for (const name of ['logback_tools.xml', 'rmq.tools.logback.xml'])
      fs.writeFileSync(path.join(home, 'conf', name), LOGBACK)
    const [command, ...args] = await peerCommand(SOURCE, { version, home, kind: 'tools' })
    const java = [`-Drocketmq.home.dir=${home}`, `-Drocketmq.namesrv.addr=${nameServer}`, ...args]
    return new AdminTool(spawn(command, java, { cwd: home, stdio: ['pipe', 'pipe', 'pipe'] }), home)
  }

  constructor(child, home) {
    this.child = child
    this.home = home
    this.errors = ''
    child.stderr.on('data', (data) => (this.errors += data))
    this.lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** What a command prints. */
  async run(...args) {
    this.child.stdin.write(`${args.join('\t')}\n`)
    const printed = []
    for (;;) {
      const { value, done } = await this.lines.next()
      if (done) throw new Error(`The admin tool has ended: ${printed.join('\n')}\n${this.errors}`)
      if (value === 'done') return printed.join('\n')
      printed.push(value)
    }
  }

  async close() {
    this.child.stdin.end()
    await new Promise((resolve) => this.child.once('close', resolve))
    fs.rmSync(this.home, { recursive: true, force: true })
  }
}

test.each(VERSIONS)('the admin tool of %s manages topics, groups, offsets and members', async (version) => {
  const broker = await TestBroker.start({ version: version.slice(0, 3) })
  const tool = await AdminTool.start(version, broker.nameServer)
  const received = []
  const consumer = new PushConsumer({
    groupId: 'GID-tool',
    nameServer: broker.nameServer,
    initialPosition: 'first',
    commitIntervalMs: 20,
  })
  try {
    expect(await tool.run('clusterList')).toContain(broker.brokers[0])
    expect(await tool.run('updateTopic', '-c', 'DefaultCluster', '-t', 'tooled', '-r', '3', '-w', '3')).toContain(
      'create topic to',
    )
    expect(await tool.run('topicRoute', '-t', 'tooled')).toMatch(/"?readQueueNums"?:\s*3/)
    expect(await tool.run('topicList')).toContain('tooled')
    expect(await tool.run('updateSubGroup', '-c', 'DefaultCluster', '-g', 'GID-tool')).toContain(
      'create subscription group',
    )

    consumer.subscribe('tooled', (message) => void received.push(message.text()))
    await consumer.start()
    for (const body of ['a', 'b', 'c']) await broker.publish({ topic: 'tooled', body, keys: `key-${body}` }, 'k')
    await broker.caughtUp('GID-tool')

    expect(await tool.run('topicStatus', '-t', 'tooled')).toMatch(/broker-a\s+\d\s+0\s+3/)
    expect(await tool.run('consumerConnection', '-g', 'GID-tool')).toContain(consumer.clientId)
    expect(await tool.run('consumerProgress', '-g', 'GID-tool')).toMatch(/tooled\s+broker-a\s+\d\s+3\s+3/)
    expect(await tool.run('consumerStatus', '-g', 'GID-tool', '-i', consumer.clientId)).toContain('PROP_CONSUMEORDERLY')
    const [, { msgId, offsetMsgId, queue }] = await broker.messages('tooled')
    const byId = ['queryMsgById', ...(version.startsWith('5.') ? ['-t', 'tooled'] : []), '-i', offsetMsgId]
    expect(await tool.run(...byId)).toContain(msgId)
    expect(await tool.run(...byId, '-g', 'GID-tool', '-d', consumer.clientId)).toContain('CR_SUCCESS')
    expect(received).toEqual(['a', 'b', 'c', 'b'])
    expect(await tool.run('queryMsgByKey', '-t', 'tooled', '-k', 'key-b')).toContain(msgId)
    expect(
      await tool.run('queryMsgByOffset', '-t', 'tooled', '-b', 'broker-a', '-i', queue.queueId, '-o', 1),
    ).toContain(msgId)
    expect(await tool.run('brokerStatus', '-b', broker.brokers[0])).toContain('commitLogMaxOffset')

    await tool.run('resetOffsetByTime', '-g', 'GID-tool', '-t', 'tooled', '-s', '0')
    await broker.publish({ topic: 'tooled', body: 'd' }, 'k')
    while (received.length < 8) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(received.slice(-4)).toEqual(['a', 'b', 'c', 'd'])

    expect(await tool.run('deleteTopic', '-c', 'DefaultCluster', '-t', 'tooled')).toContain('success')
    await expect(broker.messages('tooled')).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND' })
    expect(tool.errors).toBe('')
  } finally {
    await consumer.close()
    await tool.close()
    await broker.close()
  }
})
