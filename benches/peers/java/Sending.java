import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageQueue;

/** Sends one after the other, all at once, and one of each key at a time. */
final class Sending {
    static final int WARM_UP_KEY = 9_999;
    static final int TIMEOUT_MS = 60_000;
    static final SelectMessageQueueByHash BY_HASH = new SelectMessageQueueByHash();
    private static final int WARM_UP = 50;
    private static final int MAX_MESSAGE = 4 * 1024 * 1024;

    private Sending() {
    }

    static String awaited(Given given) throws Exception {
        DefaultMQProducer producer = warm(given);
        PeerTimes times = new PeerTimes();
        PeerClock clock = new PeerClock(given);
        long began = System.nanoTime();
        for (int i = 0; !clock.isOver(); i++) {
            send(producer, given, 0, PeerBody.of(0, i, given.number("bytes")));
            long now = System.nanoTime();
            times.add(now - began);
            began = now;
        }
        String told = clock.stop(times.size()) + times.text();
        producer.shutdown();
        return told;
    }

    /** Without `sequential`: the asynchronous send with a selector, which promises no order. */
    static String burst(Given given) throws Exception {
        DefaultMQProducer producer = warm(given);
        int bytes = given.number("bytes");
        String told;
        if (given.has("sequential")) {
            PeerClock clock = new PeerClock(given);
            int sent = 0;
            while (!clock.isOver()) {
                send(producer, given, 0, PeerBody.of(0, sent++, bytes));
            }
            told = clock.stop(sent);
        } else {
            int total = given.number("messages");
            CountDownLatch open = new CountDownLatch(total);
            AtomicInteger failed = new AtomicInteger();
            PeerClock clock = new PeerClock(given);
            for (int i = 0; i < total; i++) {
                Message message = message(given, 0, PeerBody.of(0, i, bytes));
                while (!isTaken(producer, message, open, failed)) {
                    Thread.sleep(1);
                }
            }
            open.await();
            told = clock.stop(total - failed.get()) + (failed.get() > 0 ? ",\"failed\":" + failed.get() : "");
        }
        producer.shutdown();
        return told;
    }

    /** Counts down with every outcome, and up what has failed. */
    static SendCallback counted(CountDownLatch open, AtomicInteger failed) {
        return new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                open.countDown();
            }

            @Override
            public void onException(Throwable e) {
                failed.incrementAndGet();
                open.countDown();
            }
        };
    }

    /** The client refuses a send when too many wait for its threads; whoever sends more has to try again. */
    static boolean isTaken(DefaultMQProducer producer, Message message, CountDownLatch open, AtomicInteger failed)
        throws Exception {
        try {
            producer.send(message, BY_HASH, "key-0", counted(open, failed), TIMEOUT_MS);
            return true;
        } catch (MQClientException e) {
            if (String.valueOf(e.getMessage()).contains("executor rejected")) {
                return false;
            }
            throw e;
        }
    }

    /** Lists of messages into the queue of the key, one list after the other. */
    static String batches(Given given) throws Exception {
        DefaultMQProducer producer = warm(given);
        MessageQueue queue = producer.fetchPublishMessageQueues(given.text("topic")).get(0);
        int size = given.number("batch");
        int sent = 0;
        PeerClock clock = new PeerClock(given);
        while (!clock.isOver()) {
            List<Message> batch = new ArrayList<>(size);
            for (int i = 0; i < size; i++) {
                batch.add(message(given, 0, PeerBody.of(0, sent++, given.number("bytes"))));
            }
            producer.send(batch, queue, TIMEOUT_MS);
        }
        String told = clock.stop(sent) + ",\"perRequest\":" + size;
        producer.shutdown();
        return told;
    }

    /** What one loop does for each key. */
    interface One {
        void send(int key, int number) throws Exception;
    }

    /** One thread for each key until the time is up, or `most` were sent; tells how many were sent. */
    static int loops(Given given, PeerClock clock, int most, One one) throws Exception {
        AtomicInteger sent = new AtomicInteger();
        AtomicReference<Exception> failure = new AtomicReference<>();
        List<Thread> running = new ArrayList<>();
        for (int i = 0; i < given.number("keys"); i++) {
            int key = i;
            Thread loop = new Thread(() -> {
                try {
                    for (int number = 0; !clock.isOver() && sent.get() < most; number++) {
                        sent.incrementAndGet();
                        one.send(key, number);
                    }
                } catch (Exception e) {
                    failure.set(e);
                }
            });
            running.add(loop);
            loop.start();
        }
        for (Thread loop : running) {
            loop.join();
        }
        if (failure.get() != null) {
            throw failure.get();
        }
        return sent.get();
    }

    static String keys(Given given) throws Exception {
        DefaultMQProducer producer = warm(given);
        PeerTimes[] times = new PeerTimes[given.number("keys")];
        Arrays.setAll(times, key -> new PeerTimes());
        PeerClock clock = new PeerClock(given);
        int sent = loops(given, clock, Integer.MAX_VALUE, (key, number) -> {
            long began = System.nanoTime();
            send(producer, given, key, PeerBody.of(key, number, given.number("bytes")));
            times[key].add(System.nanoTime() - began);
        });
        String told = clock.stop(sent);
        PeerTimes all = new PeerTimes();
        Arrays.stream(times).forEach(all::addAll);
        producer.shutdown();
        return told + all.text() + ",\"perRequest\":1";
    }

    static String mixed(Given given) throws Exception {
        DefaultMQProducer producer = warm(given);
        int[] sizes = Arrays.stream(given.text("sizes").split(",")).mapToInt(Integer::parseInt).toArray();
        AtomicLong bytes = new AtomicLong();
        PeerClock clock = new PeerClock(given);
        int sent = loops(given, clock, Integer.MAX_VALUE, (key, number) -> {
            byte[] body = PeerBody.of(key, number, sizes[(key + number) % sizes.length]);
            send(producer, given, key, body);
            bytes.addAndGet(body.length);
        });
        String told = clock.stop(sent) + ",\"mibPerSecond\":" + bytes.get() / clock.seconds() / (1 << 20);
        producer.shutdown();
        return told;
    }

    /** One message, of a process that has just begun. The runner looks at its clock. */
    static String cold(Given given) throws Exception {
        send(producer(given), given, 0, PeerBody.of(0, 0, given.number("bytes")));
        return "\"messages\":1";
    }

    static Message message(Given given, int key, byte[] body) {
        Message message = new Message(given.text("topic"), body);
        MessageAccessor.putProperty(message, "__SHARDINGKEY", "key-" + key);
        return message;
    }

    static void send(DefaultMQProducer producer, Given given, int key, byte[] body) throws Exception {
        producer.send(message(given, key, body), BY_HASH, "key-" + key, TIMEOUT_MS);
    }

    static DefaultMQProducer producer(Given given) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("GID_bench_" + System.nanoTime());
        producer.setNamesrvAddr(given.text("nameServer"));
        producer.setMaxMessageSize(MAX_MESSAGE);
        if (!given.has("compress")) {
            producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        }
        producer.start();
        return producer;
    }

    /** A producer that has found its routes and connections. */
    static DefaultMQProducer warm(Given given) throws Exception {
        DefaultMQProducer producer = producer(given);
        for (int i = 0; i < WARM_UP; i++) {
            send(producer, given, 0, PeerBody.of(WARM_UP_KEY, i, given.number("bytes")));
        }
        return producer;
    }
}
