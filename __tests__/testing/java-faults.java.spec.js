'use strict'
// The genuine Java consumer, of both versions, while TestBroker makes things go wrong: it recovers as on a real broker.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { VERSIONS } = require('../../scripts/rocketmq/jars')
const { peerCommand } = require('../../scripts/rocketmq/peer')
const { TestBroker } = require('../../testing')
const { LineProcess } = require('../support/child-process')
const { until } = require('../support/until')
const { track } = require('./track')

const SOURCE = path.join(__dirname, '..', '..', 'scripts', 'peers', 'java', 'OrderlyPeer.java')
const TOPIC = 'orders'
const GROUP = 'GID-java'
/** Instead of every 20 s: how often the client looks at its members, and at its locks. */
const QUICK = ['-Drocketmq.client.rebalance.waitInterval=1000', '-Drocketmq.client.rebalance.lockInterval=1000']
/** The client tells a broker that it is there every 30 s, and only then does a restarted one give it messages. */
const RECOVERY_MS = 90_000

jest.setTimeout(400_000)

async function javaConsumer(version, nameServer) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-peer-'))
  const [command, ...before] = await peerCommand(SOURCE, { version, home })
  const args = [...QUICK, ...before, 'consume', nameServer, GROUP, TOPIC, '0', '600']
  const child = spawn(command, args, { cwd: home, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => {})
  const peer = new LineProcess(child)
  track({ close: () => peer.kill9() })
  peer.ended.then(() => fs.rmSync(home, { recursive: true, force: true, maxRetries: 3 }))
  const { clientId } = await peer.line(({ type }) => type === 'started', {
    timeoutMs: 120_000,
    what: 'the start of the Java consumer',
  })
  return { peer, clientId }
}

describe.each(VERSIONS)('the Java consumer of %s', (version) => {
  let broker
  let peer
  let clientId
  let published = 0

  const received = () => peer.lines.filter(({ type }) => type === 'message')
  const publish = async (count) => {
    for (let i = 0; i < count; i++) {
      await broker.publish({ topic: TOPIC, body: String(published) }, `key-${published % 10}`)
      published += 1
    }
  }
  /** Every message has come, and of each queue the first deliveries are in order. */
  const allCame = async () => {
    await broker.caughtUp(GROUP, { timeoutMs: RECOVERY_MS })
    await until(() => new Set(received().map(({ body }) => body)).size === published, { what: 'the last lines' })
    const perQueue = new Map()
    for (const { queueId, queueOffset } of received()) {
      const behind = perQueue.get(queueId) ?? -1
      // What comes again was there before; nothing is left out.
      expect(queueOffset).toBeLessThanOrEqual(behind + 1)
      perQueue.set(queueId, Math.max(behind, queueOffset))
    }
  }
  const holds = () => broker.locks(GROUP).filter((lock) => lock.queue.topic === TOPIC && lock.clientId === clientId)

  beforeAll(async () => {
    published = 0
    broker = await TestBroker.start({ topics: { [TOPIC]: 4 }, version: version.slice(0, 3) })
  })
  afterAll(() => broker.close())

  test('recovers from lost answers, ended connections, a restart and stolen locks', async () => {
    ;({ peer, clientId } = await javaConsumer(version, broker.nameServer))
    await publish(40)
    await allCame()
    expect(new Set(received().map(({ body }) => body)).size).toBe(received().length)
    expect(broker.members(GROUP)).toEqual([clientId])
    expect(holds()).toHaveLength(4)

    const lost = [
      broker.fault({ request: 'lock', drop: 'answer', times: 2 }),
      broker.fault({ request: 'commit', drop: 'request', times: 3 }),
    ]
    await publish(40)
    await until(() => lost.every(({ hits }) => hits > 0), { timeoutMs: RECOVERY_MS, what: 'the faults' })
    await allCame()

    // The end of its connection takes its registration along; pulls go on being asked.
    const pulls = [{ disconnect: 'before' }, { cutAnswerAt: 10 }, { garbage: Buffer.from('7fffffff00', 'hex') }]
    const cut = pulls.map((effect, i) => broker.fault({ request: 'pull', nth: i + 1, ...effect }))
    await publish(40)
    await until(() => cut.every(({ hits }) => hits === 1), { timeoutMs: RECOVERY_MS, what: 'the faults of pulls' })
    await allCame()

    await broker.stopBroker()
    expect(broker.members(GROUP)).toEqual([])
    await broker.startBroker()
    await publish(40)
    await allCame()
    expect(broker.members(GROUP)).toEqual([clientId])
    await until(() => holds().length === 4, { timeoutMs: RECOVERY_MS, what: 'its locks' })

    // While it asks for its locks again and again.
    const asked = broker.fault({ request: 'lock', clientId, delayMs: 0 })
    broker.stealLocks(GROUP)
    expect(holds()).toEqual([])
    await until(() => asked.hits >= 2, { timeoutMs: RECOVERY_MS, what: 'that it has noticed' })
    const before = received().length
    await publish(20)
    await expect(broker.caughtUp(GROUP, { timeoutMs: 2_000 })).rejects.toThrow('lacks')
    expect(received().length).toBe(before)
    broker.forgetLocks()
    await allCame()
    expect(holds()).toHaveLength(4)

    peer.kill('SIGTERM')
    await peer.ended
    await until(() => broker.members(GROUP).length === 0, { what: 'its farewell' })
    expect(holds()).toEqual([])
  })
})
