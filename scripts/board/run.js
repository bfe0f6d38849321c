'use strict'
// Draws docs/grafana/rocketmq-orderly.svg: what the board shows of a real run. RocketMQ 5.5.0 and Prometheus are real; the panels are those of the board's
// JSON, their expressions are evaluated by Prometheus, and drawn by ECharts, as Grafana itself is not to be had from a registry.
//   npm ci --prefix scripts/board && PROMETHEUS=/usr/bin/prometheus node scripts/board/run.js      (apt-get install prometheus; a JDK, Maven)

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Registry } = require('prom-client')
const { Producer, PushConsumer, deadLetter } = require('../..')
const { register } = require('../../prometheus')
const { Cluster } = require('../rocketmq/cluster')
const { freePort } = require('../rocketmq/ports')
const { draw } = require('./draw')

const ROOT = path.join(__dirname, '..', '..')
const BOARD = path.join(ROOT, 'docs/grafana/rocketmq-orderly.json')
const PICTURE = BOARD.replace('.json', '.svg')
const TOPIC = 'orders'
const KEYS = 64
const STEP_S = 2

/** What happens, in seconds from the beginning. */
const SCENES = { fails: [25, 50], pauses: [65, 85], letters: [95, 110], bursts: [115, 120], ends: 140 }

async function serve(registry) {
  const server = http.createServer(async (_request, response) => {
    response.setHeader('content-type', registry.contentType)
    response.end(await registry.metrics())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

/** A Prometheus that scrapes this process once a second; its address. */
async function prometheus(folder, port) {
  const own = await freePort()
  const config = path.join(folder, 'prometheus.yml')
  const targets = `[{ targets: ['127.0.0.1:${port}'] }]`
  fs.writeFileSync(
    config,
    `global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: board, static_configs: ${targets} }]\n`,
  )
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${own}`,
  ]
  const child = spawn(process.env.PROMETHEUS ?? 'prometheus', args, { stdio: 'ignore' })
  const address = `http://127.0.0.1:${own}`
  for (let i = 0; i < 100; i++) {
    if (
      await fetch(`${address}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return { child, address }
    await sleep(200)
  }
  child.kill()
  throw new Error('Prometheus does not start')
}

/** Runs the scenes; resolves with when they began and ended, in seconds since 1970. */
async function play(nameServer, registry) {
  const producer = new Producer({ groupId: 'GID_shop', nameServer })
  const consumer = new PushConsumer({ groupId: 'GID_billing', nameServer, initialPosition: 'first' })
  const began = Date.now()
  const seconds = () => (Date.now() - began) / 1000
  const isIn = ([from, to]) => seconds() >= from && seconds() < to
  consumer.subscribe(TOPIC, async (message) => {
    if (isIn(SCENES.fails) && message.shardingKey === 'order-7') throw new Error('the bank does not answer')
    if (isIn(SCENES.letters) && message.shardingKey === 'order-9') return deadLetter('an order without id')
    await sleep(2 + Math.random() * 8)
  })
  consumer.on('suspended', () => {})
  consumer.on('deadLetter', () => {})
  for (const client of [producer, consumer]) register(client, { registry })
  await Promise.all([producer.start(), consumer.start()])
  let number = 0
  while (seconds() < SCENES.ends) {
    const count = isIn(SCENES.bursts) ? 200 : 10
    const send = () => producer.sendOrderly({ topic: TOPIC, body: 'paid' }, `order-${number++ % KEYS}`)
    void Promise.allSettled(Array.from({ length: count }, send))
    if (isIn(SCENES.pauses)) consumer.pause(TOPIC)
    else if (consumer.assignment().some(({ state }) => state === 'paused')) consumer.resume()
    await sleep(50)
  }
  const ended = Date.now()
  await Promise.all([producer.close(), consumer.close()])
  return [began / 1000, ended / 1000]
}

/** What Prometheus says of an expression of the board: lines, with the names that the board gives them. */
async function lines(address, { expr, legendFormat }, [start, end]) {
  const query = expr.replaceAll('$group', '.+').replaceAll('$__rate_interval', '10s')
  const parameters = new URLSearchParams({ query, start, end, step: String(STEP_S) })
  const { status, data, error } = await (await fetch(`${address}/api/v1/query_range?${parameters}`)).json()
  if (status !== 'success') throw new Error(`${query}: ${error}`)
  return data.result.map(({ metric, values }) => ({
    name: legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
    points: values.map(([time, value]) => [time - start, Number(value)]),
  }))
}

async function main() {
  const { panels } = JSON.parse(fs.readFileSync(BOARD, 'utf8'))
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'board-'))
  const registry = new Registry()
  const server = await serve(registry)
  const cluster = await Cluster.start({ version: '5.5.0' })
  const scraping = await prometheus(folder, server.address().port)
  try {
    await cluster.createTopic(TOPIC, { queues: 8 })
    const span = await play(cluster.nameServer, registry)
    const drawn = []
    for (const { title, description, fieldConfig, targets } of panels) {
      const all = await Promise.all(targets.map((target) => lines(scraping.address, target, span)))
      drawn.push({ title, description, unit: fieldConfig.defaults.unit, lines: all.flat() })
    }
    fs.writeFileSync(PICTURE, draw(drawn, span[1] - span[0]))
    console.log(`written: ${path.relative(ROOT, PICTURE)}`)
  } finally {
    scraping.child.kill()
    await once(scraping.child, 'exit')
    server.close()
    await cluster.stop()
    fs.rmSync(folder, { recursive: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
