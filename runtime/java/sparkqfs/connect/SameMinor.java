package sparkqfs.connect;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.spark.package$;
import org.sparkproject.connect.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import org.sparkproject.connect.grpc.Metadata;
import org.sparkproject.connect.grpc.ServerCall;
import org.sparkproject.connect.grpc.ServerCall.Listener;
import org.sparkproject.connect.grpc.ServerCallHandler;
import org.sparkproject.connect.grpc.ServerInterceptor;
import org.sparkproject.connect.grpc.Status;
import org.sparkproject.connect.protobuf.Descriptors.FieldDescriptor;
import org.sparkproject.connect.protobuf.Message;

/**
 * Refuses clients of another minor version of Spark, with the line to type: what they send is understood in part, and
 * fails later, or means something else. Every request says `client_type`, as in `_SPARK_CONNECT_PYTHON spark/4.1.3
 * os/linux python/3.11.2` (Spark 4.1, python/pyspark/sql/connect/client/core.py, userAgent); one that says no version
 * is taken.
 */
public final class SameMinor implements ServerInterceptor {
    private static final Pattern VERSION = Pattern.compile("(?:^| )spark/((\\d+\\.\\d+)[^ ]*)");
    private static final String OURS = package$.MODULE$.SPARK_VERSION();

    @Override
    public <Q, A> Listener<Q> interceptCall(ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
        return new SimpleForwardingServerCallListener<Q>(next.startCall(call, headers)) {
            private boolean isRefused;

            @Override
            public void onMessage(Q message) {
                Optional<String> why = isRefused ? Optional.empty() : refusal(clientType(message), OURS);
                if (why.isPresent()) {
                    isRefused = true;
                    call.close(Status.FAILED_PRECONDITION.withDescription(why.get()), new Metadata());
                } else if (!isRefused) {
                    super.onMessage(message);
                }
            }

            @Override
            public void onHalfClose() {
                if (!isRefused) {
                    super.onHalfClose();
                }
            }
        };
    }

    /** What a request says of its client; empty where it says nothing. */
    private static String clientType(Object message) {
        if (!(message instanceof Message)) {
            return "";
        }
        Message request = (Message) message;
        FieldDescriptor field = request.getDescriptorForType().findFieldByName("client_type");
        return field == null ? "" : String.valueOf(request.getField(field));
    }

    /** Why a client is refused by a server of this version; empty for one that fits. */
    static Optional<String> refusal(String clientType, String ours) {
        Matcher client = VERSION.matcher(clientType);
        Matcher server = VERSION.matcher("spark/" + ours);
        if (!client.find() || !server.find() || client.group(2).equals(server.group(2))) {
            return Optional.empty();
        }
        return Optional.of("This server is Spark " + ours + ", your client is " + client.group(1)
            + ". Type: pip install 'pyspark-client==" + server.group(2) + ".*'");
    }
}
