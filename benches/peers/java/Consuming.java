import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A backlog, messages as they come, and what they leave in memory. */
final class Consuming {
    /** Sent until one of each key has come, before the clock starts. */
    private static final int PROBE = 90_000_000;
    private static final int PROBE_MS = 20;

    private Consuming() {
    }

    /** Begins with the first message, or with the start of the consumer, and ends with the last one or when the time is up. */
    static String drain(Given given) throws Exception {
        int most = given.number("messages");
        AtomicInteger handled = new AtomicInteger();
        AtomicReference<PeerClock> clock = new AtomicReference<>(given.has("from") ? new PeerClock(given) : null);
        AtomicReference<String> told = new AtomicReference<>();
        CountDownLatch over = new CountDownLatch(1);
        PeerOrder order = new PeerOrder();
        DefaultMQPushConsumer consumer = consumer(given, message -> {
            if (clock.get() == null) {
                clock.compareAndSet(null, new PeerClock(given));
            }
            int count = handled.incrementAndGet();
            if (count > most || told.get() != null) {
                return;
            }
            order.see(message.getBody());
            if ((count == most || count % 64 == 0 && clock.get().isOver())
                && told.compareAndSet(null, clock.get().stop(count))) {
                over.countDown();
            }
        });
        over.await();
        consumer.shutdown();
        return told.get() + order.text();
    }

    /** From the call of the send to the beginning of the listener, at a steady rate. */
    static String latency(Given given) throws Exception {
        int keys = given.number("keys");
        int total = (int) (given.number("rate") * given.seconds());
        long[] called = new long[total];
        PeerTimes times = new PeerTimes();
        PeerOrder order = new PeerOrder();
        Map<Integer, Boolean> probed = new ConcurrentHashMap<>();
        CountDownLatch left = new CountDownLatch(total);
        DefaultMQPushConsumer consumer = consumer(given, message -> {
            long now = System.nanoTime();
            int key = PeerBody.key(message.getBody());
            int number = PeerBody.number(message.getBody());
            if (number >= PROBE) {
                probed.put(key, true);
            } else if (key < keys) {
                order.see(message.getBody());
                synchronized (times) {
                    times.add(now - called[number * keys + key]);
                }
                left.countDown();
            }
        });
        DefaultMQProducer producer = Sending.warm(given);
        for (int i = 0; probed.size() < keys; i++) {
            for (int key = 0; key < keys; key++) {
                if (!probed.containsKey(key)) {
                    Sending.send(producer, given, key, PeerBody.of(key, PROBE + i, given.number("bytes")));
                }
            }
            Thread.sleep(PROBE_MS);
        }
        PeerClock clock = new PeerClock(given);
        CountDownLatch open = new CountDownLatch(total);
        AtomicInteger failed = new AtomicInteger();
        long start = System.nanoTime();
        for (int i = 0; i < total; i++) {
            long wait = start + i * 1_000_000_000L / given.number("rate") - System.nanoTime();
            if (wait > 0) {
                Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
            }
            Message message = Sending.message(given, i % keys, PeerBody.of(i % keys, i / keys, given.number("bytes")));
            called[i] = System.nanoTime();
            producer.send(message, Sending.BY_HASH, "key-" + i % keys, Sending.counted(open, failed), Sending.TIMEOUT_MS);
        }
        open.await();
        if (failed.get() > 0) {
            throw new IllegalStateException(failed.get() + " sends have failed");
        }
        left.await();
        String told = clock.stop(total) + times.text() + order.text();
        producer.shutdown();
        consumer.shutdown();
        return told;
    }

    /** What a process holds after it has sent, and after it has handled, many messages. */
    static String memory(Given given) throws Exception {
        DefaultMQProducer producer = Sending.warm(given);
        PeerClock clock = new PeerClock(given);
        int sent = Sending.loops(given, clock, given.number("messages"), (key, number) ->
            Sending.send(producer, given, key, PeerBody.of(key, number, given.number("bytes"))));
        System.gc();
        double afterSends = PeerClock.status("VmRSS");
        CountDownLatch left = new CountDownLatch(sent);
        DefaultMQPushConsumer consumer = consumer(given, message -> {
            if (PeerBody.key(message.getBody()) != Sending.WARM_UP_KEY) {
                left.countDown();
            }
        });
        left.await();
        System.gc();
        String told = clock.stop(sent) + ",\"sentRssMiB\":" + afterSends + ",\"handledRssMiB\":"
            + PeerClock.status("VmRSS") + ",\"peakRssMiB\":" + PeerClock.status("VmHWM");
        consumer.shutdown();
        producer.shutdown();
        return told;
    }

    /** What is done with each message. */
    interface Handler {
        void handle(MessageExt message);
    }

    static DefaultMQPushConsumer consumer(Given given, Handler handler) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(given.text("group"));
        consumer.setNamesrvAddr(given.text("nameServer"));
        consumer.setInstanceName("bench-" + System.nanoTime());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        if (given.has("batch")) {
            consumer.setConsumeMessageBatchMaxSize(given.number("batch"));
        }
        consumer.subscribe(given.text("topic"), "*");
        consumer.registerMessageListener((MessageListenerOrderly) (batch, context) -> {
            batch.forEach(handler::handle);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        return consumer;
    }
}
