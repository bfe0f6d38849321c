import { Producer } from 'rocketmq-orderly'

const producer = await new Producer({ groupId: 'GID_shop', topics: ['orders'], sendTimeoutMs: 300 }).start()
globalThis.producer = {
  sendOrderly: (message, key) => {
    const sent = producer.sendOrderly(message, key)
    sent.catch(({ code }) => console.log(JSON.stringify({ rejected: code })))
    return sent
  },
}

export async function after({ sendAll }) {
  const messages = Array.from({ length: 50 }, (_, i) => ({ topic: 'orders', body: `${i}` }))
  await sendAll(messages, 'order-1')
  await producer.close()
}
