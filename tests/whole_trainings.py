"""Three programs that are right: windows, states, clipping, update, sampling; to make mistakes in."""

COURSE = r"""
import numpy as np


def softmax(x):
    e_x = np.exp(x - np.max(x))
    return e_x / e_x.sum(axis=0)


def initialize_parameters(n_a, n_x, n_y):
    np.random.seed(1)
    Wax = np.random.randn(n_a, n_x) * 0.01
    Waa = np.random.randn(n_a, n_a) * 0.01
    Wya = np.random.randn(n_y, n_a) * 0.01
    b = np.zeros((n_a, 1))
    by = np.zeros((n_y, 1))
    return {"Wax": Wax, "Waa": Waa, "Wya": Wya, "b": b, "by": by}


def rnn_step_forward(parameters, a_prev, x):
    Waa, Wax, Wya, by, b = (parameters['Waa'], parameters['Wax'], parameters['Wya'],
                            parameters['by'], parameters['b'])
    a_next = np.tanh(np.dot(Wax, x) + np.dot(Waa, a_prev) + b)
    p_t = softmax(np.dot(Wya, a_next) + by)
    return a_next, p_t


def rnn_forward(X, Y, a0, parameters, vocab_size=5):
    x, a, y_hat = {}, {}, {}
    a[-1] = np.copy(a0)
    loss = 0
    for t in range(len(X)):
        x[t] = np.zeros((vocab_size, 1))
        if X[t] is not None:
            x[t][X[t]] = 1
        a[t], y_hat[t] = rnn_step_forward(parameters, a[t - 1], x[t])
        loss -= np.log(y_hat[t][Y[t], 0])
    cache = (y_hat, a, x)
    return loss, cache


def rnn_backward(X, Y, parameters, cache):
    gradients = {}
    (y_hat, a, x) = cache
    Waa, Wya = parameters['Waa'], parameters['Wya']
    for key in parameters:
        gradients['d' + key] = np.zeros_like(parameters[key])
    gradients['da_next'] = np.zeros_like(a[0])
    for t in reversed(range(len(X))):
        dy = np.copy(y_hat[t])
        dy[Y[t]] -= 1
        gradients['dWya'] += np.dot(dy, a[t].T)
        gradients['dby'] += dy
        da = np.dot(Wya.T, dy) + gradients['da_next']
        daraw = (1 - a[t] * a[t]) * da
        gradients['db'] += daraw
        gradients['dWax'] += np.dot(daraw, x[t].T)
        gradients['dWaa'] += np.dot(daraw, a[t - 1].T)
        gradients['da_next'] = np.dot(Waa.T, daraw)
    return gradients, a


def clip(gradients, maxValue):
    dWaa, dWax, dWya, db, dby = (gradients['dWaa'], gradients['dWax'], gradients['dWya'],
                                 gradients['db'], gradients['dby'])
    for gradient in [dWaa, dWax, dWya, db, dby]:
        np.clip(gradient, -maxValue, maxValue, out=gradient)
    gradients = {"dWaa": dWaa, "dWax": dWax, "dWya": dWya, "db": db, "dby": dby}
    return gradients


def update_parameters(parameters, gradients, lr):
    parameters['Wax'] += -lr * gradients['dWax']
    parameters['Waa'] += -lr * gradients['dWaa']
    parameters['Wya'] += -lr * gradients['dWya']
    parameters['b'] += -lr * gradients['db']
    parameters['by'] += -lr * gradients['dby']
    return parameters


def sample(parameters, char_to_ix, seed):
    Waa, Wax, Wya = parameters['Waa'], parameters['Wax'], parameters['Wya']
    by, b = parameters['by'], parameters['b']
    vocab_size = by.shape[0]
    n_a = Waa.shape[1]
    x = np.zeros((vocab_size, 1))
    a_prev = np.zeros((n_a, 1))
    indices = []
    idx = -1
    counter = 0
    newline_character = char_to_ix['\n']
    while idx != newline_character and counter != 50:
        a = np.tanh(np.dot(Wax, x) + np.dot(Waa, a_prev) + b)
        z = np.dot(Wya, a) + by
        y = softmax(z)
        np.random.seed(counter + seed)
        idx = np.random.choice(range(len(y)), p=y.ravel())
        indices.append(idx)
        x = np.zeros((vocab_size, 1))
        x[idx] = 1
        a_prev = a
        seed += 1
        counter += 1
    if counter == 50:
        indices.append(char_to_ix['\n'])
    return indices


def optimize(X, Y, a_prev, parameters, learning_rate=0.01):
    loss, cache = rnn_forward(X, Y, a_prev, parameters)
    gradients, a = rnn_backward(X, Y, parameters, cache)
    gradients = clip(gradients, 5)
    parameters = update_parameters(parameters, gradients, learning_rate)
    return loss, gradients, a[len(X) - 1]


def model(data, num_iterations=100, n_a=10, vocab_size=5, T=6):
    parameters = initialize_parameters(n_a, vocab_size, vocab_size)
    a_prev = np.zeros((n_a, 1))
    p = 0
    losses = []
    for j in range(num_iterations):
        if p + T + 1 > len(data):
            p = 0
            a_prev = np.zeros((n_a, 1))
        X = [int(i) for i in data[p:p + T]]
        Y = [int(i) for i in data[p + 1:p + T + 1]]
        curr_loss, gradients, a_prev = optimize(X, Y, a_prev, parameters, learning_rate=0.01)
        losses.append(curr_loss)
        p += T
    return parameters
"""

ROWS = '''\
import numpy as np


def init_weights(D, H, V, rng=None):
    rng = rng or np.random.default_rng(3)
    return {
        'Wx': rng.normal(0, 0.1, (D, H)),
        'Wh': rng.normal(0, 0.1, (H, H)),
        'b': np.zeros(H),
        'Wo': rng.normal(0, 0.1, (H, V)),
        'bo': np.zeros(V),
    }


def get_batches(data, N, T, D):
    """streams side by side, (N, T, D)"""
    per = (len(data) - 1) // N
    xs = np.reshape(data[:N * per], (N, per))
    ys = np.reshape(data[1:N * per + 1], (N, per))
    for i in range(0, per - T + 1, T):
        yield np.eye(D)[xs[:, i:i + T]], ys[:, i:i + T]


def forward(params, x, h0):
    N, T, D = x.shape
    hs = np.zeros((N, T, h0.shape[1]))
    h = h0
    for t in range(T):
        h = np.tanh(x[:, t] @ params['Wx'] + h @ params['Wh'] + params['b'])
        hs[:, t] = h
    scores = hs @ params['Wo'] + params['bo']
    return scores, hs


def loss_and_grads(params, x, y, h0):
    scores, hs = forward(params, x, h0)
    N, T, V = scores.shape
    p = np.exp(scores - scores.max(axis=2, keepdims=True))
    p /= p.sum(axis=2, keepdims=True)
    n, t = np.meshgrid(np.arange(N), np.arange(T), indexing='ij')
    loss = -np.log(p[n, t, y]).sum() / N
    ds = p.copy()
    ds[n, t, y] -= 1
    ds /= N
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    grads['Wo'] = np.einsum('nth,ntv->hv', hs, ds)
    grads['bo'] = ds.sum(axis=(0, 1))
    dnext = np.zeros_like(h0)
    for t in reversed(range(T)):
        dh = ds[:, t] @ params['Wo'].T + dnext
        dz = dh * (1 - hs[:, t] ** 2)
        hprev = hs[:, t - 1] if t else h0
        grads['Wx'] += x[:, t].T @ dz
        grads['Wh'] += hprev.T @ dz
        grads['b'] += dz.sum(axis=0)
        dnext = dz @ params['Wh'].T
    return loss, grads, hs[:, -1]


def clip_grad_norm(grads, max_norm):
    total = np.sqrt(sum(np.sum(g ** 2) for g in grads.values()))
    if total > max_norm:
        for k in grads:
            grads[k] *= max_norm / total
    return grads


def momentum_step(params, grads, velocity, lr, mu=0.9):
    for k in params:
        velocity[k] = mu * velocity[k] - lr * grads[k]
        params[k] = params[k] + velocity[k]


def check_gradients(params, x, y, h0, eps=1e-5, tol=1e-5):
    _, grads, _ = loss_and_grads(params, x, y, h0)
    for k in params:
        flat = params[k].reshape(-1)
        for i in range(flat.size):
            old = flat[i]
            flat[i] = old + eps
            lp, _, _ = loss_and_grads(params, x, y, h0)
            flat[i] = old - eps
            lm, _, _ = loss_and_grads(params, x, y, h0)
            flat[i] = old
            num = (lp - lm) / (2 * eps)
            if abs(num - grads[k].reshape(-1)[i]) > tol:
                return False
    return True


def generate(params, first, n, rng=None):
    rng = rng or np.random.default_rng(0)
    H = params['Wh'].shape[0]
    V = params['Wo'].shape[1]
    h = np.zeros((1, H))
    ix, out = first, []
    for _ in range(n):
        x = np.eye(V)[[ix]]
        h = np.tanh(x @ params['Wx'] + h @ params['Wh'] + params['b'])
        s = (h @ params['Wo'] + params['bo'])[0]
        p = np.exp(s - s.max())
        p = p / p.sum()
        ix = rng.choice(V, p=p)
        out.append(ix)
    return out


def fit(data, vocab_size, epochs=10, H=12, N=2, T=4, lr=0.05, max_norm=1.0):
    params = init_weights(vocab_size, H, vocab_size)
    velocity = {k: np.zeros_like(v) for k, v in params.items()}
    log = []
    for epoch in range(epochs):
        h = np.zeros((N, H))
        for x, y in get_batches(data, N, T, vocab_size):
            loss, grads, h_last = loss_and_grads(params, x, y, h)
            grads = clip_grad_norm(grads, max_norm)
            momentum_step(params, grads, velocity, lr)
            h = h_last
            log.append(loss)
    return params, log
'''

KLASS = """\
import numpy as np


class CharModel:
    def __init__(self, vocab_size, hidden_size=16, seq_length=7, learning_rate=1e-1):
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        self.seq_length, self.learning_rate = seq_length, learning_rate
        self.U = np.random.uniform(-0.3, 0.3, (hidden_size, vocab_size))
        self.W = np.random.uniform(-0.3, 0.3, (hidden_size, hidden_size))
        self.V = np.random.uniform(-0.3, 0.3, (vocab_size, hidden_size))
        self.b = np.zeros((hidden_size, 1))
        self.c = np.zeros((vocab_size, 1))
        self.mU, self.mW, self.mV = np.zeros_like(self.U), np.zeros_like(self.W), np.zeros_like(self.V)
        self.mb, self.mc = np.zeros_like(self.b), np.zeros_like(self.c)

    def forward(self, x, hprev):
        xs, hs, os, ycap = {}, {}, {}, {}
        hs[-1] = np.copy(hprev)
        for t in range(len(x)):
            xs[t] = np.zeros((self.vocab_size, 1))
            xs[t][x[t]] = 1
            hs[t] = np.tanh(self.U @ xs[t] + self.W @ hs[t - 1] + self.b)
            os[t] = self.V @ hs[t] + self.c
            e = np.exp(os[t] - os[t].max())
            ycap[t] = e / e.sum()
        return xs, hs, ycap

    def backward(self, xs, hs, ycap, targets):
        dU, dW, dV = np.zeros_like(self.U), np.zeros_like(self.W), np.zeros_like(self.V)
        db, dc = np.zeros_like(self.b), np.zeros_like(self.c)
        dhnext = np.zeros_like(hs[0])
        for t in reversed(range(len(targets))):
            dy = np.copy(ycap[t])
            dy[targets[t]] -= 1
            dV += dy @ hs[t].T
            dc += dy
            dh = self.V.T @ dy + dhnext
            dhrec = (1 - hs[t] * hs[t]) * dh
            db += dhrec
            dU += dhrec @ xs[t].T
            dW += dhrec @ hs[t - 1].T
            dhnext = self.W.T @ dhrec
        for dparam in [dU, dW, dV, db, dc]:
            np.clip(dparam, -5, 5, out=dparam)
        return dU, dW, dV, db, dc

    def loss(self, ycap, targets):
        return sum(-np.log(ycap[t][targets[t], 0]) for t in range(len(targets)))

    def update_model(self, dU, dW, dV, db, dc):
        for param, dparam, mem in zip([self.U, self.W, self.V, self.b, self.c],
                                      [dU, dW, dV, db, dc],
                                      [self.mU, self.mW, self.mV, self.mb, self.mc]):
            mem += dparam * dparam
            param += -self.learning_rate * dparam / np.sqrt(mem + 1e-8)

    def sample(self, h, seed_ix, n):
        x = np.zeros((self.vocab_size, 1))
        x[seed_ix] = 1
        ixes = []
        for t in range(n):
            h = np.tanh(self.U @ x + self.W @ h + self.b)
            y = self.V @ h + self.c
            p = np.exp(y - y.max()) / np.sum(np.exp(y - y.max()))
            ix = np.random.choice(range(self.vocab_size), p=p.ravel())
            x = np.zeros((self.vocab_size, 1))
            x[ix] = 1
            ixes.append(ix)
        return ixes

    def train(self, data, iterations=1000):
        iter_num, p = 0, 0
        while iter_num < iterations:
            if p + self.seq_length + 1 >= len(data) or iter_num == 0:
                hprev = np.zeros((self.hidden_size, 1))
                p = 0
            inputs = [ch for ch in data[p:p + self.seq_length]]
            targets = [ch for ch in data[p + 1:p + self.seq_length + 1]]
            xs, hs, ycap = self.forward(inputs, hprev)
            dU, dW, dV, db, dc = self.backward(xs, hs, ycap, targets)
            self.update_model(dU, dW, dV, db, dc)
            hprev = hs[self.seq_length - 1]
            p += self.seq_length
            iter_num += 1
"""

SCRIPT = """
import numpy as np

data = open('shakespeare.txt').read()
signs = sorted(set(data))
K, H, S, eta = len(signs), 12, 6, 0.05
number = {s: i for i, s in enumerate(signs)}
Wxh = np.random.normal(0, 0.1, (H, K))
Whh = np.random.normal(0, 0.1, (H, H))
Why = np.random.normal(0, 0.1, (K, H))
bh, by = np.zeros((H, 1)), np.zeros((K, 1))


def gradients_of(inputs, targets, h):
    hs, ps, xs, loss = {-1: h}, {}, {}, 0.0
    for t, i in enumerate(inputs):
        xs[t] = np.eye(K)[:, [i]]
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        z = Why @ hs[t] + by
        ps[t] = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        loss -= np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dnext = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(h)
    for t in reversed(range(len(inputs))):
        dz = ps[t].copy()
        dz[targets[t]] -= 1
        dWhy += dz @ hs[t].T
        dby += dz
        da = (Why.T @ dz + dnext) * (1 - hs[t] ** 2)
        dWxh += da @ xs[t].T
        dWhh += da @ hs[t - 1].T
        dbh += da
        dnext = Whh.T @ da
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]


h, at = np.zeros((H, 1)), 0
while True:
    if at + S + 1 > len(data):
        at = 0
        h = np.zeros((H, 1))
    inputs = [number[s] for s in data[at:at + S]]
    targets = [number[s] for s in data[at + 1:at + S + 1]]
    loss, dWxh, dWhh, dWhy, dbh, dby, h = gradients_of(inputs, targets, h)
    for W, dW in ((Wxh, dWxh), (Whh, dWhh), (Why, dWhy), (bh, dbh), (by, dby)):
        W -= eta * np.clip(dW, -1, 1)
    at += S
"""
