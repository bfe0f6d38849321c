'use strict'
// What operators look at and change.

const { jsonFrame } = require('../raw-connection')
const { GROUP, pull, without } = require('../requests')

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
  await r.awaits(12, query('k1'), ({ code }) => code === 0)
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
  const id = sent?.ext.msgId
  const directly = { consumerGroup: GROUP, clientId: 'client@1', msgId: id, brokerName: 'broker-a', topic: 'plain' }
  await r.broker('309 of a member', 309, directly)
  await r.broker('309 of a member, without the name of the broker', 309, without(directly, 'brokerName'))
  await r.broker('309 with the name of another', 309, { ...directly, brokerName: 'broker-x' })
  await r.broker('309 of a message that is not there', 309, {
    ...directly,
    msgId: `${id?.slice(0, 16)}00000000000FFFFF`,
  })
  await r.broker('309 of a stranger', 309, { ...directly, clientId: 'stranger' })
  await r.broker('223 of the members', 223, { topic: 'plain', group: GROUP, clientAddr: '' })
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
  const at = { consumerGroup: 'GID-reset', topic: 'one', queueId: 0 }
  await r.broker('222 once more', 222, reset('GID-reset'))
  await r.broker(
    '11 the next pull brings a commit',
    11,
    pull('one', 0, 3, { consumerGroup: 'GID-reset', sysFlag: 5, commitOffset: 2 }),
    undefined,
    { ignoreBody: true },
  )
  await r.broker('14 that commit has won', 14, at)
  await r.broker('25 resets are pushed', 25, {}, Buffer.from('useServerSideResetOffset=false\n'))
  await r.broker('222 pushed', 222, reset(GROUP, 'plain'), undefined, { settleMs: 500 })
  const fields = Object.fromEntries(Object.entries(reset(GROUP, 'plain')).map(([name, value]) => [name, String(value)]))
  await r.raw('222 asked by C++', jsonFrame({ code: 222, opaque: 7, language: 'CPP', extFields: fields }), {
    frames: 1,
  })
  await r.pushes('222 as C++ gets it')
  await r.broker('25 resets are stored', 25, {}, Buffer.from('useServerSideResetOffset=true\n'))
}

module.exports = { administration, resets }
