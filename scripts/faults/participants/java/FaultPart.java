import java.util.Map;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/** What a participant is told to be: JSON, whose `options` are as good as what stands beside them. */
final class FaultPart {
    private final Map<?, ?> values;
    private final Map<?, ?> options;

    FaultPart(String json) {
        values = RemotingSerializable.fromJson(json, Map.class);
        options = values.get("options") == null ? java.util.Collections.emptyMap() : (Map<?, ?>) values.get("options");
    }

    private Object value(String name) {
        return values.get(name) == null ? options.get(name) : values.get(name);
    }

    String text(String name) {
        return String.valueOf(value(name));
    }

    double number(String name) {
        return value(name) == null ? 0 : Double.parseDouble(text(name));
    }
}
