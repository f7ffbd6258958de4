// @node-oauth/oauth2-server behind express, its model in memory. Whoever comes to /authorize is alice and has consented.
// usage: node server.mjs PORT
import OAuth2Server from '@node-oauth/oauth2-server'
import express from 'express'

const everything = ['client_credentials', 'password', 'authorization_code', 'refresh_token']
const register = (id, secret = `${id}-secret`, grants = everything) => [id, { id, secret, grants, redirectUris: ['http://127.0.0.1:9999/cb'] }]
const clients = new Map([
  register('lab-basic'), register('lab-post'), register('lab-special', 'a+b%26 c:d/e'), register('lab-code'), register('lab-code2'),
  register('lab-idle', undefined, ['implicit']),
])
const alice = { id: 'alice', password: 'wonderland' }
const known = ['api:read', 'api:write']
const codes = new Map(), byAccess = new Map(), byRefresh = new Map()

const model = {
  async getClient(id, secret) {
    const client = clients.get(id)
    if (client && (secret == null || client.secret === secret)) return client
  },
  getUser: async (name, password) => (name === alice.id && password === alice.password ? alice : null),
  getUserFromClient: async ({ id }) => ({ id }),
  validateScope: async (user, client, scope) => (scope?.length ? scope.every((s) => known.includes(s)) && scope : ['api:read']),
  verifyScope: async (token, scope) => scope.every((s) => token.scope?.includes(s)),
  async saveToken(token, client, user) {
    const saved = { ...token, client, user }
    byAccess.set(token.accessToken, saved)
    if (token.refreshToken) byRefresh.set(token.refreshToken, saved)
    return saved
  },
  getAccessToken: async (token) => byAccess.get(token),
  getRefreshToken: async (token) => byRefresh.get(token),
  async revokeToken({ accessToken, refreshToken }) {
    byAccess.delete(accessToken)
    return byRefresh.delete(refreshToken)
  },
  async saveAuthorizationCode(code, client, user) {
    const saved = { ...code, client, user }
    codes.set(code.authorizationCode, saved)
    return saved
  },
  getAuthorizationCode: async (code) => codes.get(code),
  revokeAuthorizationCode: async ({ authorizationCode }) => codes.delete(authorizationCode),
}

const oauth = new OAuth2Server({ model, accessTokenLifetime: 600, refreshTokenLifetime: 3600 })

// through hands a request to the library, and the answer that it makes, a refusal too, to the caller.
const through = (ask) => async (req, res) => {
  const answer = new OAuth2Server.Response(res)
  try {
    await ask(new OAuth2Server.Request(req), answer)
  } catch (err) {
    if (!answer.body?.error && !answer.headers.location) {
      answer.status = err.code ?? 500
      answer.body = { error: err.name, error_description: err.message }
    }
  }
  res.status(answer.status).set(answer.headers).send(answer.body)
}

const app = express()
app.use(express.urlencoded({ extended: false }), express.json())
app.all('/token', through((req, answer) => oauth.token(req, answer)))
app.get('/authorize', through((req, answer) => oauth.authorize(req, answer, { authenticateHandler: { handle: () => alice } })))
app.get('/resource', through(async (req, answer) => {
  await oauth.authenticate(req, answer)
  answer.body = { fine: true }
}))
app.listen(Number(process.argv[2]), '127.0.0.1')
