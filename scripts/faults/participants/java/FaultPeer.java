import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * The genuine Java client as a participant of a fault: arguments are name=value, as scripts/faults/participants/java.js writes them.
 * It writes what it does into a history, says on standard output how far it has come, and is told there what to do by its standard input.
 */
public final class FaultPeer {
    private static final PrintStream OUT = new PrintStream(System.out, true);

    /** What it is, once it has started. */
    interface Role {
        /** Sends nothing new any more, and waits for the outcomes of what it has. */
        void stop() throws Exception;

        /** Leaves in peace. */
        void close() throws Exception;
    }

    public static void main(String[] args) {
        try {
            run(given(args));
        } catch (Throwable e) {
            // The client's threads would keep the process.
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static Map<String, String> given(String[] args) {
        Map<String, String> given = new HashMap<>();
        for (String pair : args) {
            int at = pair.indexOf('=');
            given.put(pair.substring(0, at), pair.substring(at + 1));
        }
        return given;
    }

    private static void run(Map<String, String> given) throws Exception {
        boolean isProducer = given.get("role").equals("producer");
        Role role = isProducer ? new FaultProducer(given) : new FaultConsumer(given);
        say("started");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            if (order.contains("\"stop\"")) {
                role.stop();
                say("stopped");
            } else if (order.contains("\"close\"")) {
                role.close();
                say("closed");
                System.exit(0);
            }
        }
        // Whoever has started it is gone.
        Runtime.getRuntime().halt(2);
    }

    private static void say(String event) {
        OUT.println("{\"event\":\"" + event + "\"}");
    }
}
