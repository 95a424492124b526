package sparkqfs.connect;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;

import javax.security.sasl.AuthenticationException;

import org.apache.hive.service.auth.PasswdAuthenticationProvider;

/** A JDBC client's password is the Connect server's token; its user name may be any. */
public final class TokenAuthentication implements PasswdAuthenticationProvider {
    private static final String TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN";

    @Override
    public void Authenticate(String user, String password) throws AuthenticationException {
        String token = System.getenv(TOKEN);
        byte[] given = (password == null ? "" : password).getBytes(StandardCharsets.UTF_8);
        if (token == null || token.isEmpty() || !MessageDigest.isEqual(token.getBytes(StandardCharsets.UTF_8), given)) {
            throw new AuthenticationException("the password is the token that `invoke jdbc` prints");
        }
    }
}
