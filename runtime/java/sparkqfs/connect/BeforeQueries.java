package sparkqfs.connect;

import org.sparkproject.connect.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import org.sparkproject.connect.grpc.Metadata;
import org.sparkproject.connect.grpc.ServerCall;
import org.sparkproject.connect.grpc.ServerCall.Listener;
import org.sparkproject.connect.grpc.ServerCallHandler;
import org.sparkproject.connect.grpc.ServerInterceptor;

/** Holds a client's query until the executors are there again that {@link ExecutorsOnDemand} has given back. */
public final class BeforeQueries implements ServerInterceptor {
    private static final String EXECUTE = "ExecutePlan";

    @Override
    public <Q, A> Listener<Q> interceptCall(ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
        Listener<Q> listener = next.startCall(call, headers);
        if (!EXECUTE.equals(call.getMethodDescriptor().getBareMethodName())) {
            return listener;
        }
        return new SimpleForwardingServerCallListener<Q>(listener) {
            @Override
            public void onMessage(Q message) {
                ExecutorsOnDemand.take();
                super.onMessage(message);
            }
        };
    }
}
