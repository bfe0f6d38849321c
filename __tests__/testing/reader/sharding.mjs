export async function after({ producer }) {
  await producer.start()
  for (const region of ['eu', 'us', 'cn', 'ap']) {
    const { queue } = await producer.sendOrderly({ topic: 'orders', body: 'x' }, `${region}-4711`)
    console.log(JSON.stringify({ region, queueId: queue.queueId }))
  }
  console.log(
    JSON.stringify({ code: await producer.sendOrderly({ topic: 'orders', body: 'x' }, 'mars').catch((e) => e.code) }),
  )
  await producer.close()
}
