"""Small programs with every construct that a person may use: `go()` of each is what is compared."""

PROGRAMS = {
    "for_else": """
def go():
    seen = []
    for k in range(5):
        if k == 1: continue
        if k == 3: break
        seen.append(k * 2)
    else:
        seen.append('else')
    for k in range(2):
        seen.append(k + 1)
    else:
        seen.append('else')
    return seen
""",
    "while_else": """
def go():
    k, seen = 0, []
    while k < 5:
        k += 1
        if k == 2: continue
        if k == 4: break
        seen.append(k)
    else: seen.append('else')
    while k < 6: k += 1
    else: seen.append(k)
    return seen
""",
    "while_array": """
def go():
    x = np.ones(2)
    while np.any(x < 3):
        x = x + 1
    return x
""",
    "while_walrus": """
def go():
    k = 0
    while (j := k + 1) < 5: k = j
    return k, j
""",
    "while_self": """
class A:
    def __init__(self): self.t = 3
    def go(self):
        out = []
        while self.t:
            self.t -= 1
            out.append(self.t)
        return out
def go(): return A().go()
""",
    "while_list": """
def go():
    todo = [1,2,3]; s = 0
    while todo: s += todo.pop()
    return s
""",
    "while_locals": """
def go():
    k = 3
    while k > 0:
        k = k - 1
        m = k * 2
    del m
    return k
""",
    "nested": """
def go():
    total = 0
    def add(x):
        nonlocal total
        total += x
        return total
    return [add(k) for k in range(4)], total
""",
    "glob": """
count = 0
def up():
    global count
    count += 2
def go():
    up(); up()
    return count
""",
    "closure_late": """
def go():
    fs = []
    for k in range(3):
        fs.append(lambda: k * 2)
    gs = [lambda j=j: j * 2 for j in range(3)]
    return [f() for f in fs], [g() for g in gs]
""",
    "comps": """
def go():
    a = np.arange(6).reshape(2, 3)
    return [x + 1 for row in a for x in row if x % 2], {k: v * 2 for k, v in enumerate('ab')}, {x // 2 for x in range(5)}, list(i * i for i in range(3))
""",
    "gen": """
def g(n):
    for k in range(n):
        got = yield k * 2
        if got: yield got + 1
    return 7
def h():
    x = yield from g(2)
    yield x + 1
def go():
    it = g(3); first = next(it); s = it.send(5)
    return first, s, list(it), list(h())
""",
    "classes": """
class A:
    base = 2 * 3
    def __init__(self, x): self.x = x * 2
    @property
    def twice(self): return self.x * 2
    @twice.setter
    def twice(self, v): self.x = v / 2
    @staticmethod
    def s(x): return x + 1
    @classmethod
    def c(cls, x): return cls(x + 1)
    def __call__(self, y=1): return self.x + y
    def __getitem__(self, k): return self.x * k
class B(A):
    def __init__(self, x):
        super().__init__(x)
        super(B, self).__init__(x + 1)
    @property
    def twice(self): return super().twice + 1
def go():
    a = A(1); b = B(2)
    a.twice += 5
    return a.x, b.x, b.twice, a.twice, A.s(1), A.c(1).x, a(3), b(y=2), b[3], A.base
""",
    "decor": """
import functools
def deco(n):
    def inner(f):
        @functools.wraps(f)
        def w(*a, **k): return f(*a, **k) * n
        return w
    return inner
@deco(1 + 2)
def f(x, y=2 * 3): return x + y
def go(): return f(1), f(1, y=1), f.__name__
""",
    "walrus": """
def go():
    if (n := len([1, 2])) > 1: n = n + 1
    return n, [y := k * 2 for k in range(3)], y
""",
    "fstr": """
def go():
    x = np.ones(2) * 3
    return f'{x.sum() + 1:.2f} {x!r} {len(x) * 2}', '%d' % (3 + 4), 'a' + 'b' * 2
""",
    "star": """
def f(a, *args, k=1, **kw): return a, args, k, sorted(kw.items())
def go():
    l = [1, 2]; d = dict(k=3, z=4)
    first, *rest = [x * 2 for x in range(4)]
    return f(*l, 3 + 4, **d), f(0, *l), [*l, *l], {**d, 'q': 1}, first, rest, f(*[k + 1 for k in l], **{'k': 2 * 2})
""",
    "kwonly": """
def f(x, /, y, *, z=1 + 1): return x + y * z
def go(): return f(1, 2), f(1, y=2, z=3), f.__kwdefaults__, f.__defaults__
""",
    "aug": """
class A: pass
def go():
    a = A(); a.x = np.zeros((2, 3)); v = a.x
    a.x += 1
    a.x[:, 1] += np.array([1, 2])
    d = {'W': np.ones(3)}; w = d['W']
    d['W'] *= 2
    d['W'][1:] -= 1
    row = v[0]; row += 10
    n = 3; n **= 2; n //= 2
    l = [1]; alias = l; l += [2]
    k = l; k *= 2
    s = 'a'; s += 'b'
    z = {1}; z |= {2}
    m = np.eye(2); m @= np.ones((2, 2))
    return v, w, n, alias, s, a.x is v, d['W'] is w, z, m, k is l
""",
    "aug_tuple": """
def go():
    t = ([],)
    try: t[0].append(1); t[0] += [2]
    except TypeError: pass
    return t
""",
    "chain": """
def go():
    a = b = c = np.zeros(2)
    a += 1
    x, y = 1, 2
    x, y = y, x + y
    (p, q), r = (x, y), 3
    [u, w] = [x * 2, y * 2]
    i, l = 0, [5, 6]
    i, l[i] = 1, 9
    return a is b, c, x, y, p, q, r, u, w, l
""",
    "slices": """
def go():
    a = np.arange(24).reshape(2, 3, 4)
    b = a[:, 1:, ::-1]; c = a[..., -1]; d = a[np.newaxis, 0]; e = a[a > 5]; f = a[[0, 1], :, [1, 2]]
    n = 1
    g = a[:, n + 1, n:n + 2]
    h = a[0][1][2]
    a[:, :, n] = a[:, :, n - 1] * 2
    b[0] = 7
    return a, b, c, d, e, f, g, h, a[slice(0, 1)].shape
""",
    "cond": """
def go():
    a = 1 if 2 > 1 else 1 / 0
    b = (a and 5) or 1 / 0
    c = not a
    d = 1 < a + 1 < 3
    return a, b, c, d, -a, +a, ~3, -np.ones(2)
""",
    "tryf": """
def f():
    log = []
    try:
        try:
            1 / 0
        except ZeroDivisionError as e:
            log.append(str(e))
            raise ValueError(len(log) + 1) from e
        else: log.append('no')
        finally: log.append('fin')
    except (ValueError, KeyError) as e:
        log.append(e.args[0] * 2)
    for k in range(3):
        try:
            if k == 1: continue
            if k == 2: return log
        finally: log.append(k)
def go(): return f()
""",
    "withs": """
import contextlib
@contextlib.contextmanager
def c(x):
    yield x + 1
def go():
    with c(1) as a, c(a * 2) as b: pass
    with np.errstate(all='ignore'): z = np.float64(1) / 0
    return a, b, z
""",
    "raises": """
def go():
    x = np.ones((2, 3))
    return x @ x
""",
    "keyerr": """
def go():
    return {}['a' + 'b']
""",
    "asserts": """
def go():
    x = 3
    assert x + 1 == 4, 'no'
    assert x == 4, f'{x} is not 4'
""",
    "dels": """
def go():
    d = {'a': 1, 'b': 2}; l = [1, 2, 3]
    del d['a'], l[1 + 0]
    x = 1
    del x
    return d, l
""",
    "dicts": """
def go():
    a = np.ones(2)
    return {'a': a, 'b': a + 1, **{'c': 3}}, (a, a * 2), a
""",
    "match": """
def go():
    out = []
    for v in ([1, 2], {'k': 3}, 5, 'x'):
        match v:
            case [a, b]: out.append(a + b)
            case {'k': k} if k > 2: out.append(k * 2)
            case int(): out.append(v + 1)
            case _: out.append(None)
    return out
""",
    "annot": """
from dataclasses import dataclass, field
@dataclass
class P:
    x: int = 1 + 1
    y: list = field(default_factory=list)
def go():
    n: int = 3 * 2
    m: int
    p = P(); p.y.append(n)
    return p, n
""",
    "named_tuple": """
from collections import namedtuple, defaultdict
P = namedtuple('P', 'a b')
def go():
    p = P(1 + 1, 2); d = defaultdict(lambda: np.zeros(2)); d['x'] += 1
    d['y'][0] += 2
    return p.a, p._replace(b=5), dict(d)
""",
    "astype": """
def go():
    x = np.arange(3); y = x.astype(float).T.copy().reshape(3, 1)
    y.T[0, 0] = 9
    return y, x.mean(), x.dtype, np.float32(3).dtype, x.T.shape
""",
    "bools": """
def go():
    a = np.array([1, 2]); m = a > 1
    a[m] = 0
    return a, m, True + True, (a == 0).all()
""",
    "lambda_default": """
def go():
    f = lambda x, y=2 * 3: x * y
    return f(1), (lambda: 3 + 4)(), sorted([3, 1], key=lambda v: -v), list(map(lambda v: v * 2, [1]))
""",
    "recur": """
def f(n): return 1 if n < 2 else n * f(n - 1)
def go(): return f(6)
""",
    "async": """
import asyncio
async def f(x): return x + 1
async def g(): return [await f(k) for k in range(2)]
def go(): return asyncio.run(g())
""",
    "scope": """
def go():
    x = 5
    class A:
        y = [x * k for k in range(2)]
        z = x + 1
    return A.y, A.z
""",
    "zip": """
def go():
    out = []
    for (i, a), b in zip(enumerate([1, 2]), reversed([3, 4])):
        out.append(i * a + b)
    for k, v in {'a': 1}.items(): out.append((k, v * 2))
    for t in reversed(range(3)): out.append(t)
    for t in range(3)[::-1]: out.append(t)
    return out, i
""",
    "loop_target": """
def go():
    l = [0, 0]; d = {}
    for l[0] in range(3): pass
    for d['k'] in range(2): pass
    return l, d
""",
    "iter_modified": """
def go():
    l = [1, 2, 3]
    for x in l:
        if x == 1: l.append(9)
    it = iter([1, 2, 3, 4]); out = []
    for x in it:
        out.append((x, next(it)))
    return l, out
""",
    "gen_abandoned": """
def pairs():
    for k in range(5): yield k
def go():
    out = []
    for k in pairs():
        if k == 2: break
        for j in pairs():
            if j == 1: break
            out.append(k + j)
    return out
""",
    "cls_attr_aug": """
class N:
    W = np.zeros(2)
    grads = {}
    def step(self):
        self.W += 1
        self.grads['W'] = self.W * 2
        for k, g in self.grads.items(): g *= 0.5
        for g in [self.W]: g += 1
def go():
    n = N(); n.step()
    return n.W, n.grads, N.W
""",
    "private": """
class N:
    def __init__(self): self.__w = 3
    def f(self):
        self.__w += 1
        return self.__w * 2
    def __g(self): return 5
    def h(self): return self.__g() + 1
def go(): return N().f(), N().h()
""",
    "doc": '''
def f():
    """doc"""
    return 1
def go(): return f.__doc__, f.__name__
''',
    "none_ret": """
def f():
    return
def go(): return f(), print
""",
    "ellipsis": """
def f(): ...
def go():
    pass
    return f()
""",
    "exec_star_index": """
def go():
    a = np.arange(6).reshape(2, 3); i = (0, 1)
    return a[*i], a[i]
""",
    "matmul_chain": """
def go():
    W = np.arange(6.).reshape(2, 3); x = np.ones((3, 1)); b = np.zeros((2, 1))
    return np.tanh(W @ x + b).T.dot(W).sum(axis=0, keepdims=True)
""",
    "setdefault_global_class": """
def go():
    d = {}
    d.setdefault('a', []).append(1 + 1)
    d['a'][0] += 1
    return d
""",
    "global_aug_item": """
W = np.zeros(3)
def go():
    W[0] += 1
    W[1:] += 2
    return W
""",
    "super_attr": """
class A:
    k = 3
    def f(self): return 1
class B(A):
    def f(self): return super().f() + super().k * 2
    def g(self):
        s = super()
        return s.f() + 1
def go(): return B().f(), B().g()
""",
    "for_async_unpack_star": """
def go():
    out = []
    for a, *b in [(1, 2, 3), (4,)]: out.append((a, b))
    return out
""",
    "with_break": """
def go():
    out = []
    for t in range(3):
        with np.errstate(all='ignore'):
            if t == 1: break
            out.append(t)
    for t in range(2):
        for u in range(3):
            if u == 1: break
            out.append((t, u))
    return out
""",
    "lambda_in_while": """
def go():
    k = 0; fs = []
    while k < 3:
        fs.append(lambda k=k: k * 2); k += 1
    return [f() for f in fs]
""",
    "while_nested_class_comp": """
def go():
    n = 0
    while n < 3 and [n for _ in range(2)]:
        n += 1
    return n
""",
    "while_true_break": """
def go():
    n = 0
    while True:
        n += 1
        if n > 5: break
    while 1:
        return n
""",
    "yield_while": """
def g():
    k = 0
    while k < 3:
        k += 1
        yield k
def go(): return list(g())
""",
    "returned_in_gen": """
def go():
    x = 3
    return [x], x if x else None, x
""",
    "int_big": """
def go():
    x = 2 ** 100
    y = x + 1
    c = 1j * 2
    return x, y, c, float('nan') == float('nan'), 10 ** 400
""",
    "obj_array": """
def go():
    a = np.array([1, 'a'], dtype=object); b = np.array(['x', 'y']); c = a[0] + 1
    s = np.zeros(2, dtype=[('f', float)]); s['f'] += 1
    return c, b[0] + 'z', s['f']
""",
    "index_computed_once": """
calls = []
def key():
    calls.append(1)
    return 0
def go():
    l = [1, 2]
    l[key()] += 5
    return l, len(calls)
""",
    "index_taken_once": """
def go():
    order = [2, 1, 0]; l = [0, 0, 0]
    l[order.pop()] += 1
    l[order.pop()] += 1
    return l, order
""",
    "while_in_class": """
class A:
    k = 0
    while k < 3: k += 1
def go(): return A.k
""",
    "while_yield_test": """
def g():
    while (yield 1) is None:
        return
def go(): return list(g())
""",
}
