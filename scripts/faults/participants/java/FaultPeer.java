import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * The genuine Java client, as scripts/faults/participant.js describes a participant.
 */
public final class FaultPeer {
    private static final PrintStream OUT = new PrintStream(System.out, true);

    /** What it is, once it has started. */
    interface Role {
        String clientId();

        /** Sends nothing new any more, and waits for the outcomes of what it has. */
        void stop() throws Exception;

        /** Leaves in peace. */
        void close() throws Exception;
    }

    public static void main(String[] args) {
        try {
            run(new FaultPart(args[0]));
        } catch (Throwable e) {
            // The client's threads would keep the process.
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static void run(FaultPart part) throws Exception {
        Role role = part.text("role").equals("producer") ? new FaultProducer(part) : new FaultConsumer(part);
        OUT.println("{\"event\":\"started\",\"clientId\":\"" + role.clientId() + "\"}");
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
