import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;

/** The lines of a client in a history, each with one write, so that a killed process leaves what it has done. */
final class FaultHistory {
    private static final int NANOS_OF_A_MICRO = 1_000;

    private final FileOutputStream file;
    /** The client's name in the history, and in its client id. */
    final String by;
    private long sends;

    FaultHistory(String path) throws IOException {
        file = new FileOutputStream(path, true);
        String process = ManagementFactory.getRuntimeMXBean().getName();
        by = "java-" + process.substring(0, process.indexOf('@'));
    }

    void hello(String role, String client, String group) throws IOException {
        byte[] boot = Files.readAllBytes(Paths.get("/proc/sys/kernel/random/boot_id"));
        write("hello", "\"version\":1,\"role\":" + json(role) + ",\"client\":" + json(client) + ",\"group\":" + json(group)
            + ",\"boot\":" + json(new String(boot, StandardCharsets.UTF_8).trim()) + ",\"wall\":"
            + System.currentTimeMillis() + ",\"asUser\":true");
    }

    /** Right before the call; answers its number. */
    synchronized long submit(String topic, String key, String id) {
        long send = ++sends;
        write("submit", "\"send\":" + send + ",\"topic\":" + json(topic) + ",\"key\":" + json(key) + ",\"ids\":["
            + json(id) + "]");
        return send;
    }

    void stored(long send, String queue, long offset) {
        write("settle", "\"send\":" + send + ",\"outcome\":{\"stored\":{\"queue\":" + json(queue) + ",\"offset\":" + offset
            + "}}");
    }

    /** An exception does not tell whether an attempt before the last was stored. */
    void unknown(long send, Throwable why) {
        write("settle", "\"send\":" + send + ",\"outcome\":{\"unknown\":{\"code\":"
            + json(why.getClass().getSimpleName()) + "}}");
    }

    void start(String queue, long offset, int attempt) {
        write("start", "\"queue\":" + json(queue) + ",\"offset\":" + offset + ",\"last\":" + offset + ",\"attempt\":"
            + attempt);
    }

    void end(String queue, long offset, boolean isHandled) {
        write("end", "\"queue\":" + json(queue) + ",\"offset\":" + offset + ",\"outcome\":"
            + json(isHandled ? "success" : "failure") + ",\"counted\":true");
    }

    void closed() {
        write("closed", "");
    }

    private synchronized void write(String event, String rest) {
        // The clock of CLOCK_MONOTONIC, as that of every other process here.
        String line = "{\"t\":" + System.nanoTime() / NANOS_OF_A_MICRO + ",\"by\":" + json(by) + ",\"e\":" + json(event)
            + (rest.isEmpty() ? "" : "," + rest) + "}\n";
        try {
            file.write(line.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    static String queue(String topic, String broker, int id) {
        return topic + "@" + broker + ":" + id;
    }

    private static String json(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}
