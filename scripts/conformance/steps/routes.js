'use strict'
// 17, 100 to 106, 205 and 327: topics, and what the name server says of them.

const { send, topic, without } = require('../requests')

async function topics(r) {
  await r.broker('17 a topic', 17, topic('plain'))
  await r.broker('17 a topic of one queue', 17, topic('one', { readQueueNums: 1, writeQueueNums: 1 }))
  await r.broker('17 a topic that may be read only', 17, topic('sealed', { perm: 4 }))
  await r.broker('17 a topic that may be written only', 17, topic('mute', { perm: 2 }))
  await r.broker('17 an illegal name', 17, topic('a!b'))
  await r.broker('17 no perm', 17, without(topic('x'), 'perm'))
  await r.broker('17 a topic with a type', 17, topic('typed', { attributes: '+message.type=FIFO' }))
  await r.broker('17 a wrong type', 17, topic('typed', { attributes: '+message.type=WRONG' }))
  await r.broker('17 an attribute without +', 17, topic('typed', { attributes: 'message.type=FIFO' }))
  await r.broker('17 more queues to read than to write', 17, topic('uneven', { readQueueNums: 4, writeQueueNums: 2 }))
  await r.broker('17 an ordered topic', 17, topic('ordered', { order: true }))
  await r.routed(['plain', 'one', 'sealed', 'mute', 'typed', 'uneven', 'ordered'])
}

async function routes(r) {
  await r.names('105 a route', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.names('105 a route for an old client', 105, { topic: 'plain' }, undefined, { version: 399 })
  await r.names('105 more queues to read than to write', 105, { topic: 'uneven', acceptStandardJsonOnly: true })
  await r.names('105 an ordered topic', 105, { topic: 'ordered', acceptStandardJsonOnly: true })
  await r.names('105 an unknown topic', 105, { topic: 'nowhere' })
  await r.names('105 no topic', 105)
  await r.names('106 the cluster', 106)
  await r.broker('105 at a broker', 105, { topic: 'plain' })
  await r.broker('106 at a broker', 106)
  await r.names('101 an unknown value', 101, { namespace: 'N', key: 'k' })
  await r.names('100 a value', 100, { namespace: 'N', key: 'k', value: 'v' })
  await r.names('101 the value', 101, { namespace: 'N', key: 'k' })
  await r.names('101 no key', 101, { namespace: 'N' })
  await r.names('102 the value', 102, { namespace: 'N', key: 'k' })
  await r.names('101 the value that was deleted', 101, { namespace: 'N', key: 'k' })
  const order = { namespace: 'ORDER_TOPIC_CONFIG', key: 'plain', value: 'broker-a:4;broker-b:4' }
  await r.names('100 the order of a topic', 100, order)
  await r.names('105 with an order that is not enabled', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.names('318 enable it', 318, {}, Buffer.from('orderMessageEnable=true\n'))
  await r.names('105 with its order', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.names('100 the order of an unknown topic', 100, { ...order, key: 'nowhere' })
  await r.names('105 an unknown topic with an order', 105, { topic: 'nowhere' })
  await r.names('318 disable it', 318, {}, Buffer.from('orderMessageEnable=false\n'))
  await r.names('206 the topics', 206, {}, undefined, { pick: ({ topicList }) => topicList?.includes('uneven') })
  await r.names('319 the settings', 319, {}, undefined, { ignoreBody: true })
  await r.names('205 wipe the write bit', 205, { brokerName: 'broker-a' }, undefined, { onlyCode: true })
  await r.names('105 without the write bit', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.names('327 give it back', 327, { brokerName: 'broker-a' }, undefined, { onlyCode: true })
  await r.names('105 with the write bit', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.names('216 an unknown topic', 216, { topic: 'nowhere' })
  await r.names('216 no topic', 216)
}

/** A broker that may not be written to. */
async function sealing(r) {
  const x = Buffer.from('x')
  const perm = (bits) => Buffer.from(`brokerPermission=${bits}\n`)
  const shows =
    (bits) =>
    ({ body }) =>
      body.includes(`"perm":${bits}`)
  await r.broker('310 behind the queues to write', 310, send('uneven', 3, { UNIQ_KEY: 'N' }), x)
  await r.broker('310 behind all queues', 310, send('uneven', 4, { UNIQ_KEY: 'N' }), x)
  await r.broker('310 an ordered topic', 310, send('ordered', 0, { UNIQ_KEY: 'O1' }), x)
  await r.broker('25 seal the broker', 25, {}, perm(4))
  await r.route('plain', shows(4))
  await r.names('105 of a sealed broker', 105, { topic: 'plain', acceptStandardJsonOnly: true })
  await r.broker('310 at a sealed broker', 310, send('uneven', 0, { UNIQ_KEY: 'S' }), x)
  await r.broker('310 an ordered topic at a sealed broker', 310, send('ordered', 0, { UNIQ_KEY: 'O2' }), x)
  await r.broker('25 open the broker', 25, {}, perm(6))
  await r.route('plain', shows(6))
}

module.exports = { routes, sealing, topics }
