'use strict'
// One recorded script of requests: every request code that clients of ours send, and what tests ask, with good and bad arguments.
// Every step is answered by each server in turn; `Recorder` keeps what matters of the answers.

const { setTimeout: sleep } = require('node:timers/promises')
const zlib = require('node:zlib')
const { CONDITIONS, MESSAGES, TRIED } = require('./conditions')

const GROUP = 'GID-conformance'
const LOOK_MS = 5_000
const MiB = 1024 * 1024

const properties = (pairs) =>
  Object.entries(pairs)
    .map(([name, value]) => `${name}\x01${value}\x02`)
    .join('')

const send = (topic, queueId, pairs = {}, ext = {}) => ({
  a: 'P',
  b: topic,
  c: 'TBW102',
  d: 4,
  e: queueId,
  f: 0,
  g: 1_700_000_000_000,
  h: 0,
  i: properties(pairs),
  j: 0,
  k: false,
  m: false,
  n: 'broker-a',
  ...ext,
})

const longNames = (topic, queueId) => ({
  producerGroup: 'P',
  topic,
  defaultTopic: 'TBW102',
  defaultTopicQueueNums: 4,
  queueId,
  sysFlag: 0,
  bornTimestamp: 1_700_000_000_000,
  flag: 0,
  properties: properties({ UNIQ_KEY: 'LONG' }),
  reconsumeTimes: 0,
  unitMode: false,
  batch: false,
})

/** The body of a batch. */
const entries = (...messages) =>
  Buffer.concat(
    messages.map(({ body, pairs = {} }) => {
      const [payload, text] = [Buffer.from(body), Buffer.from(properties(pairs))]
      const entry = Buffer.alloc(22 + payload.length + text.length)
      entry.writeInt32BE(entry.length, 0)
      entry.writeInt32BE(payload.length, 16)
      payload.copy(entry, 20)
      entry.writeInt16BE(text.length, 20 + payload.length)
      text.copy(entry, 22 + payload.length)
      return entry
    }),
  )

const pull = (topic, queueId, queueOffset, ext = {}) => ({
  consumerGroup: GROUP,
  topic,
  queueId,
  queueOffset,
  maxMsgNums: 32,
  sysFlag: 4,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subscription: '*',
  subVersion: 0,
  expressionType: 'TAG',
  ...ext,
})

/** Java's hash code. */
const hash = (text) => Array.from(text).reduce((code, letter) => (Math.imul(31, code) + letter.charCodeAt(0)) | 0, 0)

const tagsOf = (expression) => (expression === '*' ? [] : expression.split('||').map((tag) => tag.trim()))

const subscription = (topic, expression, version, kind = 'TAG') => ({
  classFilterMode: false,
  codeSet: kind === 'TAG' ? tagsOf(expression).map(hash) : [],
  expressionType: kind,
  subString: expression,
  subVersion: version,
  tagsSet: kind === 'TAG' ? tagsOf(expression) : [],
  topic,
})

const heartbeat = (clientID, subscriptions, groupName = GROUP) => ({
  clientID,
  consumerDataSet: [
    {
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      consumeType: 'CONSUME_PASSIVELY',
      groupName,
      messageModel: 'CLUSTERING',
      subscriptionDataSet: subscriptions,
      unitMode: false,
    },
  ],
  producerDataSet: [{ groupName: 'P' }],
})

const queue = (queueId, topic = 'plain', brokerName = 'broker-a') => ({ brokerName, queueId, topic })
const locks = (clientId, ...queues) => ({ clientId, consumerGroup: GROUP, mqSet: queues })

const without = (object, name) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name))

/** @param {import('./recorder').Recorder} r */
async function script(r) {
  await topics(r)
  await routes(r)
  await sends(r)
  await batches(r)
  await pulls(r)
  await conditions(r)
  await membership(r)
  await offsets(r)
  await lockTable(r)
  await heldPulls(r)
  await retries(r)
  await administration(r)
  await resets(r)
  await unknown(r)
}

async function topics(r) {
  const topic = (name, ext = {}) => ({
    topic: name,
    defaultTopic: 'TBW102',
    readQueueNums: 4,
    writeQueueNums: 4,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    ...ext,
  })
  await r.broker('17 a topic', 17, topic('plain'))
  await r.broker('17 a topic of one queue', 17, topic('one', { readQueueNums: 1, writeQueueNums: 1 }))
  await r.broker('17 a topic that may be read only', 17, topic('sealed', { perm: 4 }))
  await r.broker('17 a topic that may be written only', 17, topic('mute', { perm: 2 }))
  await r.broker('17 an illegal name', 17, topic('a!b'))
  await r.broker('17 no perm', 17, without(topic('x'), 'perm'))
  await r.broker('17 a topic with a type', 17, topic('typed', { attributes: '+message.type=FIFO' }))
  await r.broker('17 a wrong type', 17, topic('typed', { attributes: '+message.type=WRONG' }))
  await r.broker('17 an attribute without +', 17, topic('typed', { attributes: 'message.type=FIFO' }))
  await r.routed(['plain', 'one', 'sealed', 'mute', 'typed'])
}

async function routes(r) {
  await r.names('105 a route', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.names('105 a route for an old client', 105, { topic: 'plain' }, undefined, { version: 399 })
  await r.names('105 an unknown topic', 105, { topic: 'nowhere' })
  await r.names('105 no topic', 105)
  await r.names('106 the cluster', 106)
  await r.names('101 an unknown value', 101, { namespace: 'N', key: 'k' })
  await r.names('100 a value', 100, { namespace: 'N', key: 'k', value: 'v' })
  await r.names('101 the value', 101, { namespace: 'N', key: 'k' })
  await r.names('205 wipe the write bit', 205, { brokerName: 'broker-a' }, undefined, { onlyCode: true })
  await r.names('105 without the write bit', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.names('327 give it back', 327, { brokerName: 'broker-a' }, undefined, { onlyCode: true })
  await r.names('105 with the write bit', 105, { topic: 'plain', acceptStandardJsonOnly: true })
}

async function sends(r) {
  const x = Buffer.from('x')
  const good = { UNIQ_KEY: 'U1', WAIT: 'true', TAGS: 'TagA', KEYS: 'k1 k2', __SHARDINGKEY: 's' }
  r.keep('sent', await r.broker('310 a message', 310, send('plain', 0, good), x))
  await r.broker('310 without a unique id', 310, send('plain', 1, { TAGS: 'TagB' }), x)
  await r.broker('310 without properties', 310, without(send('plain', 1), 'i'), x)
  await r.broker('310 properties that do not parse', 310, { ...send('plain', 1), i: 'nonsense' }, x)
  await r.broker('310 properties with an empty value', 310, { ...send('plain', 1), i: 'a\x01\x02b\x01c\x02' }, x)
  await r.broker('310 a flag of the user', 310, { ...send('plain', 1, { UNIQ_KEY: 'F' }), h: 7 }, x)
  await r.broker('310 compressed', 310, { ...send('plain', 1, { UNIQ_KEY: 'Z' }), f: 0x301 }, zlib.deflateSync(x))
  await r.broker('10 long names', 10, longNames('plain', 1), x)
  await r.broker('310 queue 99', 310, send('plain', 99), x)
  await r.broker('310 queue -1', 310, send('mute', -1), x, { ignore: ['queueId', 'queueOffset'] })
  await r.broker('310 an unknown topic', 310, send('nowhere', 0), x)
  await r.broker('310 an illegal topic', 310, send('a!b', 0), x)
  await r.broker('310 a blank topic', 310, send(' ', 0), x)
  await r.broker('310 128 characters', 310, send('t'.repeat(128), 0), x)
  await r.broker('310 to a topic of the broker', 310, send('SCHEDULE_TOPIC_XXXX', 0), x)
  await r.broker('310 to a topic that may be read only', 310, send('sealed', 0, good), x)
  await r.broker('310 an empty body', 310, send('plain', 1, { UNIQ_KEY: 'E' }))
  await r.broker('310 4 MiB', 310, send('plain', 2, { UNIQ_KEY: 'L' }), Buffer.alloc(4 * MiB, 1))
  await r.broker('310 4 MiB and one', 310, send('plain', 2), Buffer.alloc(4 * MiB + 1, 1))
  await r.broker('310 32 000 bytes of properties', 310, send('plain', 3, { UNIQ_KEY: 'P', a: 'x'.repeat(32_000) }), x)
  await r.broker('310 33 000 bytes of properties', 310, send('plain', 3, { a: 'x'.repeat(33_000) }), x)
  for (const name of ['a', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n']) {
    await r.broker(`310 without ${name}`, 310, without(send('plain', 3, { UNIQ_KEY: `W${name}` }), name), x)
  }
  await r.broker('310 a queue id that is no number', 310, send('plain', 'zero'), x)
  await r.seen()
  for (const id of [0, 1, 3]) await r.broker(`the messages of queue ${id}`, 11, pull('plain', id, 0))
}

async function batches(r) {
  const two = entries({ body: 'a', pairs: { UNIQ_KEY: 'B0', TAGS: 'TagA' } }, { body: 'b', pairs: { UNIQ_KEY: 'B1' } })
  const batch = (topic, pairs, ext = {}) => send(topic, 0, pairs, { m: true, ...ext })
  await r.broker('320 a batch', 320, batch('one', { WAIT: 'true' }), two)
  await r.broker('320 with an id in its header', 320, batch('one', { UNIQ_KEY: 'H', WAIT: 'true' }), two)
  await r.broker('320 without properties', 320, batch('one', {}), entries({ body: 'a' }))
  await r.broker('320 cut short', 320, batch('one', {}), two.subarray(0, 30))
  await r.broker('320 an entry too long', 320, batch('one', {}), Buffer.concat([two, Buffer.from([0, 0, 1, 0])]))
  await r.broker('320 delayed', 320, batch('one', { DELAY: '1' }), two)
  await r.broker('320 more than 4 MiB', 320, batch('one', {}), entries({ body: Buffer.alloc(4 * MiB) }))
  await r.broker('320 to a retry topic', 320, batch('%RETRY%GID-batch', {}), two)
  await r.broker('320 to an unknown topic', 320, batch('nowhere', {}), two)
  await r.seen()
  await r.broker('the messages of the batches', 11, pull('one', 0, 0))
}

/** Which messages each condition selects. */
async function conditions(r) {
  for (const [body, pairs] of Object.entries(MESSAGES)) {
    const all = { UNIQ_KEY: body, TAGS: 'TagA', KEYS: 'k1', ...pairs }
    await r.broker(`310 the message ${body}`, 310, send('typed', 3, all), Buffer.from(body))
  }
  await r.seen()
  for (const text of TRIED) {
    const ext = pull('typed', 3, 0, { subscription: text, expressionType: 'SQL92' })
    const selected = (messages) => messages.map(({ body }) => body)
    await r.broker(`11 WHERE ${text}`, 11, ext, undefined, { pick: selected })
  }
}

async function pulls(r) {
  await r.broker('11 from 0', 11, pull('one', 0, 0))
  await r.broker('11 at most one', 11, pull('one', 0, 0, { maxMsgNums: 1 }))
  await r.broker('11 at most 0', 11, pull('one', 0, 0, { maxMsgNums: 0 }))
  await r.broker('11 at most -1', 11, pull('one', 0, 0, { maxMsgNums: -1 }))
  await r.broker('11 at the end', 11, pull('one', 0, 5))
  await r.broker('11 behind the end', 11, pull('one', 0, 50))
  await r.broker('11 before the beginning', 11, pull('one', 0, -1))
  await r.broker('11 an empty queue', 11, pull('typed', 0, 0))
  await r.broker('11 an empty queue, from 3', 11, pull('typed', 0, 3))
  await r.broker('11 of a tag', 11, pull('one', 0, 0, { subscription: 'TagA' }))
  await r.broker('11 of a tag that nobody has', 11, pull('one', 0, 0, { subscription: 'TagX' }))
  await r.broker('11 by SQL92', 11, pull('one', 0, 0, { subscription: "TAGS = 'TagA'", expressionType: 'SQL92' }))
  await r.broker('11 by SQL92 that is none', 11, pull('one', 0, 0, { subscription: 'a >', expressionType: 'SQL92' }))
  await r.broker('11 by what is unknown', 11, pull('one', 0, 0, { subscription: 'x', expressionType: 'XPATH' }))
  await r.broker('11 queue 9', 11, pull('one', 9, 0))
  await r.broker('11 queue -1', 11, pull('one', -1, 0))
  await r.broker('11 an unknown topic', 11, pull('nowhere', 0, 0))
  await r.broker('11 a topic that may be written only', 11, pull('mute', 0, 0))
  await r.broker('11 without registration', 11, pull('one', 0, 0, { sysFlag: 0, consumerGroup: 'GID-nobody' }))
  await r.broker('11 an odd group name', 11, pull('one', 0, 0, { consumerGroup: 'GID odd!' }))
  for (const name of ['consumerGroup', 'topic', 'queueId', 'queueOffset', 'maxMsgNums', 'sysFlag', 'commitOffset']) {
    await r.broker(`11 without ${name}`, 11, without(pull('one', 0, 0), name))
  }
  for (const name of ['suspendTimeoutMillis', 'subVersion', 'subscription', 'expressionType']) {
    await r.broker(`11 without ${name}`, 11, without(pull('one', 0, 0), name), undefined, { ignoreBody: true })
  }
  await r.broker('361', 361, pull('one', 0, 0), undefined, { ignoreBody: true })
}

async function membership(r) {
  const registered = (version, ext) =>
    pull('plain', 0, 0, { sysFlag: 0, subscription: undefined, subVersion: version, ...ext })
  const retry = subscription(`%RETRY%${GROUP}`, '*', 5)
  const beat = (name, subscriptions, options) =>
    r.broker(name, 34, {}, heartbeat('client@1', subscriptions), { settleMs: 400, ...options })
  await r.broker('38 nobody', 38, { consumerGroup: GROUP })
  await r.broker('38 no group', 38)
  await beat('34 the first', [subscription('plain', 'TagA', 5), retry])
  await r.broker('38 one member', 38, { consumerGroup: GROUP })
  await beat('34 the same again', [subscription('plain', 'TagA', 5), retry])
  await r.broker('11 registered', 11, registered(5))
  await r.broker('11 a newer version', 11, registered(6))
  await r.broker('11 an older version', 11, registered(4))
  await r.broker('11 a topic that is not subscribed', 11, { ...registered(5), topic: 'one' })
  await beat('34 another expression, equal version', [subscription('plain', 'TagB', 5), retry])
  await r.broker('11 still the old expression', 11, registered(5))
  await beat('34 another expression, higher version', [subscription('plain', 'TagB', 6), retry])
  await r.broker('11 the new expression', 11, registered(6))
  await beat('34 one topic more', [subscription('plain', 'TagB', 6), subscription('one', '*', 6), retry])
  await beat('34 one topic less', [subscription('plain', 'TagB', 6), retry])
  await beat('34 SQL92 that is none', [subscription('plain', 'a >', 7, 'SQL92'), retry])
  await r.broker('11 by SQL92 that is none, registered', 11, { ...registered(7), expressionType: 'SQL92' })
  await beat('34 back to tags', [subscription('plain', '*', 8), retry])
  await r.names('105 the retry topic', 105, { topic: `%RETRY%${GROUP}`, acceptStandardJsonOnly: true })
  const second = await r.other()
  await second.broker('34 a second member', 34, {}, heartbeat('client@2', [subscription('plain', '*', 8), retry]), {
    settleMs: 400,
  })
  await r.pushes('the first member hears of it')
  await r.broker('38 two members', 38, { consumerGroup: GROUP })
  await r.broker('203 the members', 203, { consumerGroup: GROUP }, undefined, { ignoreBody: ['clientAddr'] })
  await second.broker('35 the second leaves', 35, { clientID: 'client@2', consumerGroup: GROUP }, undefined, {
    settleMs: 400,
  })
  await r.pushes('the first member hears of that')
  second.close()
  await r.broker('35 without an id', 35, { consumerGroup: GROUP })
  await r.broker('38 the connection was taken out', 38, { consumerGroup: GROUP })
  await beat('34 a wrong code', [{ ...subscription('plain', 'TagA', 9), codeSet: [1] }, retry])
  await r.broker('11 by a wrong code', 11, registered(9))
  await beat('34 no codes', [{ ...subscription('plain', 'TagA', 10), codeSet: [] }, retry])
  await r.broker('11 by no code', 11, registered(10))
  await beat('34 once more', [subscription('plain', '*', 11), retry])
  await r.broker('35 of a stranger', 35, { clientID: 'client@9', consumerGroup: 'GID-nobody' })
  await r.broker('34 without a body', 34)
  await r.broker('34 that is no JSON', 34, {}, Buffer.from('{'))
  const check = (data) => ({ clientId: 'client@1', group: GROUP, namespace: '', subscriptionData: data })
  await r.broker('46 tags', 46, {}, check(subscription('plain', 'TagA', 1)))
  await r.broker('46 SQL92', 46, {}, check(subscription('plain', "a > 1 AND b IN ('x') OR c IS NULL", 1, 'SQL92')))
  for (const [index, text] of CONDITIONS.entries()) {
    await r.broker(`46 SQL92 ${index}: ${text}`, 46, {}, check(subscription('plain', text, 1, 'SQL92')))
  }
  await r.broker('46 what is unknown', 46, {}, check(subscription('plain', 'x', 1, 'XPATH')))
}

async function offsets(r) {
  const at = (topic, queueId, ext = {}) => ({ consumerGroup: 'GID-offsets', topic, queueId, ...ext })
  await r.broker('15 a group that does not exist', 15, at('plain', 0, { commitOffset: 1 }))
  await r.broker('200 the group of offsets', 200, {}, { groupName: 'GID-offsets' })
  await r.broker('14 never committed, data', 14, at('plain', 0))
  await r.broker('14 never committed, empty', 14, at('typed', 0))
  await r.broker('14 never committed, not to be 0', 14, at('plain', 0, { setZeroIfNotFound: false }))
  await r.broker('14 an unknown queue', 14, at('plain', 99))
  await r.broker('14 an unknown topic', 14, at('nowhere', 0))
  await r.broker('14 no queue', 14, without(at('plain', 0), 'queueId'))
  for (const offset of [5, 2, 999_999, -1]) {
    await r.broker(`15 ${offset}`, 15, at('plain', 0, { commitOffset: offset }))
    await r.broker(`14 after ${offset}`, 14, at('plain', 0))
  }
  await r.broker('15 an unknown queue', 15, at('plain', 99, { commitOffset: 1 }))
  await r.broker('15 an unknown topic', 15, at('nowhere', 0, { commitOffset: 1 }))
  await r.broker('15 no offset', 15, at('plain', 0))
  await r.broker('30 max', 30, { topic: 'plain', queueId: 0 })
  await r.broker('30 an unknown queue', 30, { topic: 'plain', queueId: 99 })
  await r.broker('30 an unknown topic', 30, { topic: 'nowhere', queueId: 0 })
  await r.broker('31 min', 31, { topic: 'plain', queueId: 0 })
  await r.broker('31 an unknown topic', 31, { topic: 'nowhere', queueId: 0 })
  await r.broker('32 earliest', 32, { topic: 'plain', queueId: 0 }, undefined, { ignore: ['timestamp'] })
  await r.broker('32 an empty queue', 32, { topic: 'typed', queueId: 0 })
  const search = (timestamp, ext = {}) => ({ topic: 'one', queueId: 0, timestamp, ...ext })
  await r.broker('29 long ago', 29, search(1))
  await r.broker('29 far ahead', 29, search(9_999_999_999_999))
  await r.broker('29 far ahead, upper', 29, search(9_999_999_999_999, { boundaryType: 'UPPER' }))
  await r.broker('29 long ago, upper', 29, search(1, { boundaryType: 'UPPER' }))
  await r.broker('29 an empty queue', 29, { topic: 'typed', queueId: 0, timestamp: 1 })
  await r.broker('29 an unknown topic', 29, { topic: 'nowhere', queueId: 0, timestamp: 1 })
  await r.broker('29 no time', 29, { topic: 'one', queueId: 0 })
}

async function lockTable(r) {
  await r.broker('41 two queues', 41, {}, locks('client@1', queue(0), queue(1)))
  await r.broker('41 renewed', 41, {}, locks('client@1', queue(0)))
  await r.broker('41 of another', 41, {}, locks('client@2', queue(0), queue(2)))
  await r.broker('41 another name of the broker', 41, {}, locks('client@2', queue(0, 'plain', 'BROKER-A')))
  await r.broker('41 a queue that does not exist', 41, {}, locks('client@1', queue(99, 'nowhere')))
  await r.broker('42 not the owner', 42, {}, locks('client@2', queue(0)))
  await r.broker('41 still refused', 41, {}, locks('client@2', queue(0)))
  await r.broker('42 the owner', 42, {}, locks('client@1', queue(0), queue(1)))
  await r.broker('41 granted now', 41, {}, locks('client@2', queue(0)))
  await r.broker('42 all', 42, {}, locks('client@2', queue(0), queue(2), queue(0, 'plain', 'BROKER-A')))
  await r.broker('42 the last', 42, {}, locks('client@1', queue(99, 'nowhere')))
  await r.broker('41 no queues', 41, {}, locks('client@1'))
  await r.broker('41 no body', 41)
  await r.broker('42 no body', 42)
}

async function heldPulls(r) {
  const x = Buffer.from('x')
  const held = (ext) => pull('typed', 1, 0, { sysFlag: 6, suspendTimeoutMillis: 10_000, ...ext })
  const arriving = r.later('11 held until a message comes', 11, held(), { soon: true })
  await sleep(300)
  await r.broker('310 what it waits for', 310, send('typed', 1, { UNIQ_KEY: 'A', TAGS: 'TagA' }), x)
  await arriving
  const other = r.later(
    '11 held while another tag comes',
    11,
    held({ queueOffset: 1, subscription: 'TagB', suspendTimeoutMillis: 2_000 }),
  )
  await sleep(300)
  await r.broker('310 another tag', 310, send('typed', 1, { UNIQ_KEY: 'B', TAGS: 'TagA' }), x)
  await other
  const long = r.later(
    '11 held for 12 s while another tag comes',
    11,
    held({ queueOffset: 2, subscription: 'TagB', suspendTimeoutMillis: 12_000 }),
  )
  await sleep(300)
  await r.broker('310 another tag again', 310, send('typed', 1, { UNIQ_KEY: 'C', TAGS: 'TagA' }), x)
  await long
  await r.later('11 held in vain', 11, held({ queueOffset: 3, suspendTimeoutMillis: LOOK_MS / 5 }))
}

async function retries(r) {
  const x = Buffer.from('x')
  const back = (group, j, l, pairs) => send(`%RETRY%${group}`, 0, { UNIQ_KEY: `R${group}${j}${l}`, ...pairs }, { j, l })
  const cases = [
    ['GID-r0', 0, 1],
    ['GID-r1', 1, 1],
    ['GID-r2', 2, 1],
    ['GID-r3', 16, undefined],
    ['GID-r4', undefined, 16],
  ]
  for (const [group, j, l] of cases) {
    await r.broker(`310 a retry, j=${j} l=${l}`, 310, back(group, j, l, { RETRY_TOPIC: 'plain' }), x)
  }
  await r.broker('310 a retry, queue 3', 310, { ...back('GID-r0', 2, 1), e: 3 }, x)
  await r.broker('41 a lock in the group', 41, {}, { clientId: 'c', consumerGroup: 'GID-r5', mqSet: [queue(0)] })
  await r.broker('310 a retry while a lock is held', 310, back('GID-r5', 0, 16), x)
  await r.broker('310 a delayed dead letter', 310, back('GID-r6', 9, 1, { DELAY: '1' }), x, { ignore: ['queueOffset'] })
  await r.broker('310 a delayed message', 310, send('plain', 3, { UNIQ_KEY: 'D', DELAY: '1' }), x, {
    ignore: ['queueOffset'],
  })
  await r.seen()
  for (const [group] of [...cases, ['GID-r5'], ['GID-r6']]) {
    await r.broker(`dead letters of ${group}`, 11, pull(`%DLQ%${group}`, 0, 0))
    await r.broker(`retries of ${group}`, 11, pull(`%RETRY%${group}`, 0, 0))
  }
  await sleep(2_500)
  await r.broker('dead letters of GID-r6, later', 11, pull('%DLQ%GID-r6', 0, 0))
  await r.broker('the delayed message, later', 11, pull('plain', 3, 0), undefined, { last: true })
  const sent = r.kept('sent')
  const offset = sent ? Number(BigInt(`0x${sent.ext.msgId.slice(16)}`)) : 0
  const sendBack = { offset, group: 'GID-back', originMsgId: 'U1', originTopic: 'plain', unitMode: false }
  await r.broker('36 handed back to the dead letters', 36, { ...sendBack, delayLevel: -1, maxReconsumeTimes: 16 })
  await r.broker('36 without a level', 36, sendBack)
  await r.broker('36 a wrong offset', 36, { ...sendBack, offset: 999_999_999, delayLevel: 1 })
  await r.seen()
  await r.broker('dead letters of GID-back', 11, pull('%DLQ%GID-back', 0, 0))
}

/** Of the groups, the one that committed. */
const picked = ({ groupList }) => groupList?.filter((group) => group === 'GID-offsets')

async function administration(r) {
  const sent = r.kept('sent')
  const offset = sent ? Number(BigInt(`0x${sent.ext.msgId.slice(16)}`)) : 0
  await r.broker('33 a message', 33, { offset, topic: 'plain' })
  await r.broker('33 a wrong offset', 33, { offset: 999_999_999, topic: 'plain' })
  const query = (key, ext = {}) => ({
    topic: 'plain',
    key,
    maxNum: 32,
    beginTimestamp: 0,
    endTimestamp: 9_999_999_999_999,
    ...ext,
  })
  const counters = ['indexLastUpdateTimestamp', 'indexLastUpdatePhyoffset']
  await sleep(1_000)
  await r.broker('12 by key', 12, query('k1'), undefined, { ignore: counters })
  await r.broker('12 by unique id', 12, query('U1', { _UNIQUE_KEY_QUERY: true }), undefined, { ignore: counters })
  await r.broker('12 an unknown key', 12, query('k9'), undefined, { ignore: counters })
  await r.broker('200 a group', 200, {}, { groupName: 'GID-made', retryMaxTimes: 3, consumeEnable: false })
  await r.broker('11 of a group that may not consume', 11, pull('one', 0, 0, { consumerGroup: 'GID-made' }))
  await r.broker('201 the groups', 201, {}, undefined, {
    ignore: ['totalGroupNum'],
    pick: (body) => body.subscriptionGroupTable?.['GID-made'],
  })
  await r.broker('207 a group', 207, { groupName: 'GID-made' })
  await r.broker('18 no topics', 18)
  await r.broker('21 the topics', 21, {}, undefined, {
    ignore: ['totalTopicNum'],
    pick: (body) => body.topicConfigTable?.plain,
  })
  await r.broker('202 a topic', 202, { topic: 'one' }, undefined, {
    ignoreBody: ['lastUpdateTimestamp', 'topicPutTps'],
  })
  await r.broker('202 an unknown topic', 202, { topic: 'nowhere' })
  await r.broker('208 a group', 208, { consumerGroup: GROUP, topic: 'one' }, undefined, {
    ignoreBody: ['lastTimestamp', 'consumeTps'],
  })
  await r.broker('300 who consumes', 300, { topic: 'plain' }, undefined, { pick: picked })
  await r.broker('300 an unknown topic', 300, { topic: 'nowhere' })
  await r.broker('343 what is consumed', 343, { group: 'GID-offsets' })
  await r.broker('203 an unknown group', 203, { consumerGroup: 'GID-nobody' })
  await r.broker('204 the producers', 204, { producerGroup: 'P' }, undefined, { ignoreBody: ['clientAddr'] })
  await r.broker('204 an unknown group', 204, { producerGroup: 'nobody' })
  await r.broker('307 of a stranger', 307, { consumerGroup: GROUP, clientId: 'stranger', jstackEnable: false })
  await r.broker('307 of an unknown group', 307, { consumerGroup: 'GID-nobody', clientId: 'x', jstackEnable: false })
  await r.broker('307 of a member', 307, { consumerGroup: GROUP, clientId: 'client@1', jstackEnable: false })
  await r.broker('223 of an unknown group', 223, { topic: 'plain', group: 'GID-nobody', clientAddr: '' })
  await r.broker('25 a setting', 25, {}, Buffer.from('brokerPermission=6\n'))
  await r.broker('26 the settings', 26, {}, undefined, { ignore: ['version'], ignoreBody: true })
  await r.broker('28 how it is', 28, {}, undefined, { ignoreBody: true })
  await r.broker('215 a topic', 215, { topic: 'mute' })
  await r.broker('11 a topic that was deleted', 11, pull('mute', 0, 0))
}

async function resets(r) {
  const reset = (group, topic = 'one') => ({ topic, group, timestamp: 0, isForce: true })
  await r.broker('222 an unknown group', 222, reset('GID odd!'))
  await r.broker('222 an unknown topic', 222, reset(GROUP, 'nowhere'))
  await r.broker('222 a group that does not exist', 222, reset('GID-reset'))
  await r.broker('200 the group to reset', 200, {}, { groupName: 'GID-reset' })
  await r.broker('222 nothing committed', 222, reset('GID-reset'))
  await r.broker('15 a commit', 15, { consumerGroup: 'GID-reset', topic: 'one', queueId: 0, commitOffset: 3 })
  await r.broker('222 nobody there', 222, reset('GID-reset'))
  await r.broker('14 after the reset', 14, { consumerGroup: 'GID-reset', topic: 'one', queueId: 0 })
  await r.broker('15 before the next pull', 15, {
    consumerGroup: 'GID-reset',
    topic: 'one',
    queueId: 0,
    commitOffset: 2,
  })
  await r.broker('14 that commit', 14, { consumerGroup: 'GID-reset', topic: 'one', queueId: 0 })
  await r.broker('11 the next pull', 11, pull('one', 0, 3, { consumerGroup: 'GID-reset' }), undefined, {
    ignoreBody: true,
  })
  await r.broker('11 the one after', 11, pull('one', 0, 3, { consumerGroup: 'GID-reset' }), undefined, {
    ignoreBody: true,
  })
  await r.broker('15 a commit after', 15, { consumerGroup: GROUP, topic: 'plain', queueId: 0, commitOffset: 1 })
  for (const queueId of [1, 2, 3]) {
    await r.broker(`15 queue ${queueId}`, 15, { consumerGroup: GROUP, topic: 'plain', queueId, commitOffset: 1 })
  }
  await r.broker('222 with a member', 222, reset(GROUP, 'plain'), undefined, { settleMs: 500 })
}

async function unknown(r) {
  await r.broker('9999 at the broker', 9_999)
  await r.names('9999 at the name server', 9_999)
}

module.exports = { script }
