'use strict'
// F7 and F8: name servers that are away or wrong, and routes that change.

const { FaultProxy } = require('../../../__tests__/support/proxy')
const { TestBroker } = require('../../../testing')

const CODE = { PUT_KV_CONFIG: 100, DELETE_KV_CONFIG: 102 }
/** Where name servers keep which queues of a topic are to be sent to. */
const ORDER_NAMESPACE = 'ORDER_TOPIC_CONFIG'
/** A route is asked for again as often. */
const REFRESH_MS = 30_000

/** Everything that goes through this proxy is away, in one of the ways of being away. @param {FaultProxy} proxy */
function away(proxy, random) {
  if (random.pick([true, false])) proxy.blackhole = true
  else {
    proxy.refuses = true
    proxy.reset()
  }
}

function back(proxy) {
  proxy.blackhole = false
  proxy.refuses = false
  proxy.reset()
}

/** Another name server, which knows another topic alone; behind a proxy. */
async function stranger(world) {
  const other = world.add(await TestBroker.start({ topics: { elsewhere: 1 } }))
  return world.add(await FaultProxy.start(other.nameServer))
}

/** Another address of the name server, which shows half of the queues that there are, until it is told to be right. */
async function stale(world) {
  const { elsewhere } = world.proxies
  const server = { isStale: true }
  const halved = (frame) => {
    const text = frame.toString('latin1').replaceAll(/("(?:read|write)QueueNums":)8\b/g, '$14')
    return server.isStale ? Buffer.from(text, 'latin1') : frame
  }
  server.proxy = world.add(await FaultProxy.start(world.cluster.nameServer, (frame) => elsewhere(halved(frame))))
  return server
}

/** @type {import('../fault').Fault} */
const nameServers = {
  id: 'F7',
  title: 'all name servers are away; then a wrong and a stale one answer beside the right one',
  figure: 'no send fails; who comes meanwhile finds its way beside the wrong one',
  async run(world) {
    const { random, proxies } = world
    const [wrong, old] = [await stranger(world), await stale(world)]
    old.isStale = false
    world.nameServers.push(wrong.address, old.proxy.address)
    await world.begin()
    const all = [proxies.nameServer, wrong, old.proxy]
    world.fault('all name servers are away')
    for (const proxy of all) away(proxy, random)
    while (world.elapsed < 0.7) await world.lasts(50)
    // Routes are asked for 30 s later again: who has half of the queues would have them for as long.
    old.isStale = world.seconds > REFRESH_MS / 1_000
    for (const proxy of random.shuffled(all)) {
      back(proxy)
      world.fault('a name server is back')
      await world.lasts(random.integer(0, 100 * world.seconds))
    }
    old.isStale = false
    const options = random.pick(world.load.consumers)
    await Promise.all([world.join('consumer', options), world.join('producer', world.load.producers[0])])
    await world.recovered(world.heals('name servers'))
  },
  judge(world) {
    world.figure('sends failed', world.told('refused').length, { atMost: 0 })
  },
}

/** Has clients look at routes now, and not at their next turn, as whatever else breaks a connection does. */
function looked(world) {
  world.proxies.nameServer.reset()
}

/** So many queues of each broker can be written; those that could be before can be read. */
async function queues(world, count) {
  world.fault(`${count} queues`)
  await world.admin.createTopic(world.topic, { queues: count, readQueues: Math.max(count, world.mostQueues) })
  world.mostQueues = Math.max(count, world.mostQueues)
  looked(world)
}

/** Which queues of a topic are to be sent to, at the name server. */
async function ordered(world, conf) {
  world.fault(conf ? `order: ${conf}` : 'no order')
  const ext = { namespace: ORDER_NAMESPACE, key: world.topic, value: conf }
  const { nameServer } = world.cluster
  await world.admin.request(nameServer, conf ? CODE.PUT_KV_CONFIG : CODE.DELETE_KV_CONFIG, ext)
  looked(world)
}

/** Waits until somebody has told of a route that has changed since. */
async function told(world, before) {
  await world.until(() => world.told('routeChanged').length > before, { what: 'routeChanged' })
}

/** @type {import('../fault').Fault} */
const changes = {
  id: 'F8',
  title: 'a topic grows and shrinks, an order of queues is said and taken back, a broker leaves and comes back',
  figure: 'each change is told; no key moves with something unresolved',
  clients: ['ours'],
  cluster: { brokers: 2 },
  harmsBrokers: true,
  async run(world) {
    await world.begin()
    const { random, cluster } = world
    world.mostQueues = world.load.queues / 2
    const [first, second] = cluster.brokers
    const all = [
      () => queues(world, random.integer(world.mostQueues + 1, 9)),
      () => queues(world, random.integer(2, 4)),
      () => ordered(world, `${first.name}:2;${second.name}:2`),
      () => ordered(world),
      async () => {
        await world.kill9(second)
        await world.lasts(random.integer(200, 1_000))
        await second.start()
        looked(world)
      },
    ]
    const count = () => world.told('routeChanged').length
    let changes = 0
    do {
      for (const change of random.shuffled(all)) {
        await change()
        changes++
        await world.lasts((1_000 * world.seconds) / all.length)
      }
    } while (world.elapsed < 1)
    const [before, most] = [count(), world.mostQueues]
    await ordered(world)
    await queues(world, most + 1)
    await told(world, before)
    await world.recovered(world.heals('the last change', await world.queues()))
    world.figure('changes', changes)
    world.figure('times that a change was told', count(), { atLeast: 2 })
  },
}

module.exports = [nameServers, changes]
