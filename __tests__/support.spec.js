'use strict'
// The support code itself, on real brokers: every other spec leans on it.

const {
  admin,
  backend,
  childProcess,
  createTopic,
  foreignMember,
  uniqueGroup,
  uniqueTopic,
  until,
} = require('./support')
const { ResponseError } = require('./support/admin')
const { keyText } = require('../scripts/rocketmq/lenient-json')

const { name: brokerName, address } = backend.brokers[0]

describe('topics', () => {
  test('a created topic has a route with its queues, a deleted one has none', async () => {
    const topic = await createTopic({ queues: 3 })
    const route = await admin.route(topic)
    expect(route.queueDatas).toEqual([
      expect.objectContaining({ brokerName, readQueueNums: 3, writeQueueNums: 3, perm: 6 }),
    ])
    expect(route.brokerDatas[0].brokerAddrs).toEqual({ 0: address })
    expect(await admin.queues(topic)).toEqual([0, 1, 2].map((queueId) => ({ brokerName, queueId })))

    await admin.createTopic(topic, { queues: 3, perm: 4 })
    expect((await admin.route(topic)).queueDatas[0].perm).toBe(4)

    await admin.deleteTopic(topic)
    expect(await admin.route(topic)).toBeUndefined()
  })

  test('a topic that nobody made is not made by a send', async () => {
    const topic = uniqueTopic()
    await expect(admin.send(topic, 0, 'x')).rejects.toMatchObject({ name: 'ResponseError', code: 17 })
    expect(await admin.route(topic)).toBeUndefined()
  })
})

describe('messages', () => {
  test('what was stored is read back from every queue, in order and complete', async () => {
    const topic = await createTopic({ queues: 2 })
    const sent = []
    for (let index = 0; index < 100; index++) {
      const properties = {
        UNIQ_KEY: `ID${index}`,
        TAGS: 'TagA',
        KEYS: `k${index} other`,
        __SHARDINGKEY: 'key',
        mine: 'ä',
      }
      const { queueOffset, offsetMsgId } = await admin.send(topic, index % 2, `body ${index}`, { properties })
      sent.push({ queueOffset, offsetMsgId })
    }

    const messages = await admin.readBack(topic, { expected: 100 })

    expect(messages).toHaveLength(100)
    expect(messages.map(({ queueId, queueOffset }) => [queueId, queueOffset])).toEqual(
      [0, 1].flatMap((queueId) => Array.from({ length: 50 }, (_, offset) => [queueId, offset])),
    )
    for (const [index, { queueOffset, offsetMsgId }] of sent.entries()) {
      const message = messages[(index % 2) * 50 + Math.floor(index / 2)]
      expect(message).toMatchObject({ topic, brokerName, queueOffset, offsetMsgId, reconsumeTimes: 0, sysFlag: 0 })
      expect(message).toMatchObject({
        msgId: `ID${index}`,
        tags: 'TagA',
        keys: [`k${index}`, 'other'],
        shardingKey: 'key',
      })
      expect(message.body).toEqual(Buffer.from(`body ${index}`))
      expect(message.properties.mine).toBe('ä')
      expect(Math.abs(message.storeTimestamp - Date.now())).toBeLessThan(60_000)
    }
    expect(await admin.maxOffset(topic, 1)).toBe(50)
    expect(await admin.readBack(topic)).toHaveLength(100)
  })

  test('large bodies come back whole, and waiting for more than there is ends', async () => {
    const topic = await createTopic({ queues: 1 })
    const body = Buffer.alloc(300_000, 'abc')
    for (let index = 0; index < 3; index++) await admin.send(topic, 0, body)
    const messages = await admin.readBack(topic, { expected: 3 })
    expect(messages.map((message) => message.body.equals(body))).toEqual([true, true, true])
    await expect(admin.readBack(topic, { expected: 4, timeoutMs: 500 })).rejects.toThrow('4 messages')
  })
})

describe('groups', () => {
  test('commits are read back, and a reset of 5.x replaces them', async () => {
    const topic = await createTopic({ queues: 1 })
    const group = uniqueGroup()
    await admin.createGroup(group)
    for (let index = 0; index < 5; index++) await admin.send(topic, 0, `${index}`)
    await admin.readBack(topic, { expected: 5 })

    await admin.commitOffset(group, topic, 0, 3)
    expect(await admin.committedOffset(group, topic, 0)).toBe(3)

    if (backend.major >= 5) {
      await admin.resetOffset(group, topic, 0)
      expect(await admin.committedOffset(group, topic, 0)).toBe(0)
    } else {
      // 4.9 asks the members to reset, and there is none.
      await expect(admin.resetOffset(group, topic, 0)).rejects.toMatchObject({ code: 206 })
    }
  })

  test('a member is listed until it leaves, and answers through the broker', async () => {
    const topic = await createTopic({ queues: 1 })
    const group = uniqueGroup()
    const clientId = `127.0.0.1@${group}`
    const queue = { brokerName, queueId: 0, topic }
    expect(await admin.members(group)).toEqual([])
    const member = await foreignMember({ group, clientId, topics: [topic], onRequest: answer })
    expect(await admin.members(group)).toEqual([clientId])
    await until(() => member.requests.some(({ code }) => code === 40), { what: 'the notice of the new member' })

    const info = await admin.runningInfo(group, clientId)
    expect(info.mqTable[keyText(queue)]).toMatchObject({ commitOffset: 5, locked: true })
    expect(info.properties.PROP_CONSUMEORDERLY).toBe('true')

    await admin.send(topic, 0, 'directly')
    const [message] = await admin.readBack(topic, { expected: 1 })
    const result = await admin.consumeDirectly(group, clientId, message)
    expect(result).toMatchObject({ consumeResult: 'CR_SUCCESS', order: true })
    const { ext, body } = member.requests.find(({ code }) => code === 309)
    expect(ext).toMatchObject({ consumerGroup: group, clientId })
    expect(body.includes('directly')).toBe(true)

    await member.leave()
    expect(await admin.members(group)).toEqual([])

    function answer({ code }) {
      if (code === 307) {
        const state = JSON.stringify({ commitOffset: 5, locked: true, droped: false, cachedMsgCount: 0 })
        const properties = '"properties":{"PROP_CONSUMEORDERLY":"true","PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"}'
        const body = `{"mqTable":{${keyText(queue)}:${state}},${properties},"statusTable":{},"subscriptionSet":[]}`
        return { body: Buffer.from(body) }
      }
      if (code !== 309) return undefined
      return { body: Buffer.from('{"autoCommit":true,"consumeResult":"CR_SUCCESS","order":true,"spentTimeMills":3}') }
    }
  })

  test('a queue is locked by one client id at a time', async () => {
    const topic = await createTopic({ queues: 4 })
    const group = uniqueGroup()
    expect(await admin.lockProbe(group, topic, [0, 1, 2, 3])).toEqual([0, 1, 2, 3])
    expect(await admin.lock(group, topic, [1, 2], { clientId: 'one' })).toEqual([1, 2])
    expect(await admin.lock(group, topic, [2, 3], { clientId: 'two' })).toEqual([3])
    expect(await admin.lockProbe(group, topic, [0, 1, 2, 3])).toEqual([0])
    await admin.unlock(group, topic, [1], { clientId: 'two' })
    await admin.unlock(group, topic, [2], { clientId: 'one' })
    expect(await admin.lockProbe(group, topic, [0, 1, 2, 3])).toEqual([0, 2])
  })
})

describe('child processes', () => {
  test('tell what they do, hear what they are told, and can be killed', async () => {
    const child = childProcess('support/fixtures/echo.js', ['one'], { env: { ECHO: 'two' } })
    expect(await child.line(({ type }) => type === 'started')).toEqual({ type: 'started', args: ['one'], env: 'two' })
    child.send({ hello: 1 })
    await child.line(({ type, message }) => type === 'echo' && message.hello === 1)
    await child.kill9()
    expect(await child.ended).toEqual({ code: null, signal: 'SIGKILL' })
    await expect(child.line(({ type }) => type === 'never')).rejects.toThrow('ended (SIGKILL)')
  })

  test('what fails in one can be read', async () => {
    const child = childProcess('support/fixtures/echo.js', ['--fail'])
    expect(await child.ended).toEqual({ code: 3, signal: null })
    expect(child.errors).toContain('as told')
  })
})

test('an unexpected answer is an error with its code', async () => {
  const asked = admin.request(address, 10_000_000)
  await expect(asked).rejects.toBeInstanceOf(ResponseError)
  await expect(asked).rejects.toMatchObject({ code: 3 })
})
