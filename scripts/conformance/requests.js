'use strict'
// The fields and bodies of requests, as clients of ours write them.

const GROUP = 'GID-conformance'

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

const heartbeat = (clientID, subscriptions, groupName = GROUP, messageModel = 'CLUSTERING') => ({
  clientID,
  consumerDataSet: [
    {
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      consumeType: 'CONSUME_PASSIVELY',
      groupName,
      messageModel,
      subscriptionDataSet: subscriptions,
      unitMode: false,
    },
  ],
  producerDataSet: [{ groupName: 'P' }],
})

const queue = (queueId, topic = 'plain', brokerName = 'broker-a') => ({ brokerName, queueId, topic })
const locks = (clientId, ...queues) => ({ clientId, consumerGroup: GROUP, mqSet: queues })

/** An object without one of its members. */
const without = (object, name) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name))

/** The fields that make a topic. */
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

module.exports = {
  GROUP,
  entries,
  heartbeat,
  locks,
  longNames,
  properties,
  pull,
  queue,
  send,
  subscription,
  topic,
  without,
}
