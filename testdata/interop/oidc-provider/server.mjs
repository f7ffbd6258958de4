// oidc-provider with one client for each way to authenticate. Whoever comes is logged in as alice and has consented.
// usage: node server.mjs PORT; writes jwt-key.pem, the private key of the client lab-jwt, into the current folder.
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

const port = Number(process.argv[2])
const everything = 'openid offline_access api:read api:write'
const minutes = (n) => 60 * n

const clientKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
writeFileSync('jwt-key.pem', clientKey.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
const serverKey = generateKeyPairSync('rsa', { modulusLength: 2048 })

const service = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'api:read api:write' }
const app = { grant_types: ['authorization_code', 'refresh_token'], redirect_uris: ['http://127.0.0.1:9999/cb'], response_types: ['code'], scope: everything }
const client = (name, kind, more) => ({ client_id: `lab-${name}`, client_secret: `lab-${name}-secret`, token_endpoint_auth_method: 'client_secret_basic', ...kind, ...more })

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    client('basic', service),
    client('post', service, { token_endpoint_auth_method: 'client_secret_post' }),
    client('special', service, { client_secret: 'a+b%26 c:d/e' }),
    client('jwt', service, {
      client_secret: undefined, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [{ ...clientKey.publicKey.export({ format: 'jwk' }), kid: 'lab', alg: 'ES256' }] },
    }),
    client('victim', service),
    client('code', app),
    client('code2', app),
    client('public', app, { client_secret: undefined, token_endpoint_auth_method: 'none', application_type: 'native' }),
  ],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'RS256', 'PS256'] },
  scopes: [...everything.split(' '), 'api:admin'],
  jwks: { keys: [{ ...serverKey.privateKey.export({ format: 'jwk' }), kid: 'sig', alg: 'RS256', use: 'sig' }] },
  cookies: { keys: ['lab'] },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  interactions: { url: (_, interaction) => `/auto/${interaction.uid}` },
  issueRefreshToken: (_, c) => c.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  ttl: {
    AccessToken: minutes(10), ClientCredentials: minutes(10), IdToken: minutes(10), Interaction: minutes(10),
    AuthorizationCode: minutes(1), RefreshToken: minutes(60), Grant: minutes(60), Session: minutes(60),
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, audience) => ({
        audience, scope: 'api:read api:write', accessTokenTTL: minutes(10), accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
})

async function approve(req, res) {
  const { params } = await provider.interactionDetails(req, res)
  const grant = new provider.Grant({ accountId: 'alice', clientId: params.client_id })
  grant.addOIDCScope(everything)
  for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, 'api:read api:write')
  const result = { login: { accountId: 'alice' }, consent: { grantId: await grant.save() } }
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false })
}

const serve = provider.callback()
createServer((req, res) => {
  if (!req.url.startsWith('/auto/')) return serve(req, res)
  approve(req, res).catch((err) => res.writeHead(500).end(String(err)))
}).listen(port, '127.0.0.1')
