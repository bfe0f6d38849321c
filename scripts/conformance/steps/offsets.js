'use strict'
// 14, 15, 29 to 32, 41, 42: offsets and locks.

const { locks, queue, without } = require('../requests')

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
  await r.broker('30 no queue', 30, { topic: 'plain' })
  await r.broker('30 a queue that is no number', 30, { topic: 'plain', queueId: 'zero' })
  await r.broker('31 no topic', 31, { queueId: 0 })
  await r.broker('32 no queue', 32, { topic: 'plain' })
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

module.exports = { offsets, lockTable }
