'use strict'
// 34, 35, 38, 46, 203: who belongs to a group, and wants what.

const { setTimeout: sleep } = require('node:timers/promises')
const { CONDITIONS } = require('../conditions')
const { GROUP, heartbeat, pull, send, subscription, topic } = require('../requests')

/** A group whose members have another message model, or several: the last heartbeat counts. */
async function broadcasting(r) {
  const group = 'GID-cast'
  const beat = (connection, name, clientId, model) =>
    connection.broker(name, 34, {}, heartbeat(clientId, [subscription('plain', '*', 5)], group, model), {
      settleMs: 400,
    })
  const members = (name) => r.broker(name, 203, { consumerGroup: group }, undefined, { ignoreBody: ['clientAddr'] })
  const registered = pull('plain', 0, 0, { consumerGroup: group, sysFlag: 0, subscription: undefined, subVersion: 5 })
  await beat(r, '34 a broadcasting member', 'cast@1', 'BROADCASTING')
  await members('203 of a broadcasting group')
  await r.names('105 the retry topic of a broadcasting group', 105, {
    topic: `%RETRY%${group}`,
    acceptStandardJsonOnly: true,
  })
  await r.broker('11 of a broadcasting group', 11, registered)
  const second = await r.other()
  await beat(second, '34 a clustering member of a broadcasting group', 'cast@2', 'CLUSTERING')
  await r.pushes('the broadcasting member hears of it')
  await members('203 after a clustering member')
  await beat(r, '34 the broadcasting member again', 'cast@1', 'BROADCASTING')
  await members('203 after the broadcasting member')
  await r.broker('200 no broadcasting', 200, {}, { groupName: group, consumeBroadcastEnable: false })
  await r.broker('11 where broadcasting is forbidden', 11, registered)
  await r.broker('11 with an expression of its own, where broadcasting is forbidden', 11, {
    ...pull('plain', 0, 0),
    consumerGroup: group,
  })
  await r.broker('35 the broadcasting member leaves', 35, { clientID: 'cast@1', consumerGroup: group }, undefined, {
    settleMs: 400,
  })
  await second.pushes('the clustering member hears of that')
  second.close()
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
  await r.broker('203 no group', 203)
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
  await ownExpressions(r, beat, retry)
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

/** Pulls that bring their expression, while the group's is another one: their own decides, whatever its version. */
async function ownExpressions(r, beat, retry) {
  for (const tag of ['TagA', 'TagB', 'Aa', 'BB', '\u00a0TagA']) {
    await r.broker(
      `310 a message with the tag ${tag}`,
      310,
      send('plain', 2, { UNIQ_KEY: tag, TAGS: tag }),
      Buffer.from(tag),
    )
  }
  await r.broker(
    '310 a message without a tag',
    310,
    send('plain', 2, { UNIQ_KEY: 'none', n: '7' }),
    Buffer.from('none'),
  )
  const own = (name, ext) => r.broker(`11 ${name}`, 11, pull('plain', 2, 0, ext), undefined, { pick: bodies })
  const bodies = (messages) => messages.map(({ body }) => body)
  await beat('34 tags that pulls do not want', [subscription('plain', 'TagB', 12), retry])
  await own('the registered tag', { sysFlag: 0, subscription: undefined, subVersion: 12 })
  for (const version of [0, 11, 12, 13, 9_000_000_000_000]) {
    await own(`another tag, version ${version}`, { subscription: 'TagA', subVersion: version })
  }
  for (const text of [
    '*',
    '',
    ' TagA ',
    'TagA || TagB',
    '|| TagA',
    'TagA ||',
    'TagA || *',
    '||',
    '||||',
    '|| ||',
    ' ',
    '|||',
    'Aa',
  ]) {
    await own(`its own: "${text}"`, { subscription: text })
  }
  await own('its own: a space that Java keeps', { subscription: '\u00a0TagA' })
  await own('its own condition', { subscription: "TAGS = 'TagA' OR n = 7", expressionType: 'SQL92' })
  await beat('34 a condition that pulls do not want', [subscription('plain', "TAGS = 'TagB'", 13, 'SQL92'), retry])
  await own('the registered condition', {
    sysFlag: 0,
    subscription: undefined,
    subVersion: 13,
    expressionType: 'SQL92',
  })
  await own('another condition', { subscription: 'n = 7', expressionType: 'SQL92', subVersion: 1 })
  await own('a tag beside a condition', { subscription: 'TagA', subVersion: 1 })
  await beat('34 another topic', [subscription('one', '*', 14), retry])
  await own('a topic that the group does not subscribe', { subscription: 'TagA' })
  await own('a group that nobody has seen', { subscription: 'TagA', consumerGroup: 'GID-unseen' })
  await beat('34 the topic again', [subscription('plain', 'TagB', 15), retry])
  const held = pull('plain', 2, 6, { sysFlag: 6, suspendTimeoutMillis: 10_000, subscription: 'TagC', subVersion: 1 })
  await r.seen()
  const answered = r.later('11 held by its own tag', 11, held, { soon: true })
  await sleep(300)
  await r.broker(
    '310 what it waits for, and the group does not',
    310,
    send('plain', 2, { UNIQ_KEY: 'C', TAGS: 'TagC' }),
    Buffer.from('C'),
  )
  await answered
  await beat('34 every message again', [subscription('plain', '*', 16), retry])
}

/** Groups that do not exist where none are made, and names that are none. */
async function unknownGroups(r) {
  const x = Buffer.from('x')
  const setting = (value) => Buffer.from(`autoCreateSubscriptionGroup=${value}\n`)
  const beat = (name, group) =>
    r.broker(name, 34, {}, heartbeat('client@1', [subscription('plain', '*', 1)], group), { settleMs: 400 })
  await r.broker('25 no groups are made', 25, {}, setting(false))
  await beat('34 of a group that is not made', 'GID-unmade')
  await r.broker('38 a group that is not made', 38, { consumerGroup: 'GID-unmade' })
  await r.broker('11 of a group that is not made', 11, pull('plain', 0, 0, { consumerGroup: 'GID-unmade' }))
  await r.broker('15 of a group that is not made', 15, {
    consumerGroup: 'GID-unmade',
    topic: 'plain',
    queueId: 0,
    commitOffset: 1,
  })
  await r.broker('310 a retry of a group that is not made', 310, send('%RETRY%GID-unmade', 0, {}, { j: 0, l: 16 }), x)
  await r.broker('36 of a group that is not made', 36, { offset: 0, group: 'GID-unmade', delayLevel: -1 })
  await r.broker('35 of a group that is not made', 35, { clientID: 'client@1', consumerGroup: 'GID-unmade' })
  await r.broker('25 groups are made', 25, {}, setting(true))
  for (const group of ['GID odd!', 'G'.repeat(120), 'G'.repeat(121)]) {
    await beat(`34 of the group ${group}`, group)
    await r.broker(`38 of the group ${group}`, 38, { consumerGroup: group })
    await r.broker(
      `11 of the group ${group}`,
      11,
      pull('plain', 0, 0, { consumerGroup: group, sysFlag: 0, subVersion: 1 }),
    )
    await r.broker(`35 of the group ${group}`, 35, { clientID: 'client@1', consumerGroup: group }, undefined, {
      settleMs: 400,
    })
  }
  await r.broker(
    '200 a group that is told nothing',
    200,
    {},
    {
      groupName: 'GID-silent',
      notifyConsumerIdsChangedEnable: false,
    },
  )
  await beat('34 of a group that is told nothing', 'GID-silent')
  await r.broker('38 of a group that is told nothing', 38, { consumerGroup: 'GID-silent' })
  await r.broker('35 of a group that is told nothing', 35, { clientID: 'client@1', consumerGroup: 'GID-silent' })
}

/** Topics that come into being with the first send. */
async function autoCreation(r) {
  const x = Buffer.from('x')
  const like = (name, queueId, queues, ext = {}) =>
    send(name, queueId, { UNIQ_KEY: name }, { c: 'template', d: queues, ...ext })
  const template = topic('template', { readQueueNums: 6, writeQueueNums: 6, perm: 7 })
  await r.broker('17 a topic that others are made after', 17, template)
  await r.broker('310 a new topic after TBW102', 310, send('fresh-0', 0), x)
  await r.broker('310 a new topic', 310, like('fresh-1', 0, 4), x)
  await r.broker('310 its last queue', 310, like('fresh-1', 3, 4), x)
  await r.broker('310 behind its last queue', 310, like('fresh-1', 4, 8), x)
  await r.broker('310 a new topic with more queues than its template', 310, like('fresh-2', 5, 100), x)
  await r.broker('310 behind these', 310, like('fresh-2', 6, 100), x)
  await r.broker('310 a new topic, behind its last queue', 310, like('fresh-3', 4, 4), x)
  await r.broker('310 the topic is there now', 310, like('fresh-3', 3, 4), x)
  await r.broker('310 a new topic without queues', 310, like('fresh-4', 0, 0), x)
  await r.broker('310 a template that does not pass itself on', 310, { ...like('fresh-5', 0, 4), c: 'plain' }, x)
  await r.broker('310 a template that does not exist', 310, { ...like('fresh-6', 0, 4), c: 'nowhere' }, x)
  await r.routed(['fresh-1', 'fresh-2', 'fresh-3'])
  for (const fresh of ['fresh-1', 'fresh-2', 'fresh-3']) {
    await r.names(`105 ${fresh}`, 105, { topic: fresh, acceptStandardJsonOnly: true })
  }
}

module.exports = { autoCreation, broadcasting, membership, unknownGroups }
