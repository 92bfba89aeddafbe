import numpy as np


def softmax(z):
    e = np.exp(z - np.max(z, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


class SimpleRNN:
    def __init__(self, X, Y, n_a):
        self.n_x, self.m, self.T_x = X.shape
        self.n_y, self.n_a = Y.shape[0], n_a
        self.parameters = {
            "Waa": np.random.randn(n_a, n_a) * 0.01,
            "Wax": np.random.randn(n_a, self.n_x) * 0.01,
            "Wya": np.random.randn(self.n_y, n_a) * 0.01,
            "ba": np.zeros((n_a, 1)),
            "by": np.zeros((self.n_y, 1)),
        }
        self.cache = {"X": X, "Y": Y}

    def forward(self):
        p, X = self.parameters, self.cache["X"]
        # A[:, :, 0] is the state before the first step, A[:, :, t + 1] the one after step t
        A = np.zeros((self.n_a, self.m, self.T_x + 1))
        Y_pred = np.zeros((self.n_y, self.m, self.T_x))
        for t in range(self.T_x):
            A[:, :, t + 1] = np.tanh(p["Waa"] @ A[:, :, t] + p["Wax"] @ X[:, :, t] + p["ba"])
            Y_pred[:, :, t] = softmax(p["Wya"] @ A[:, :, t + 1] + p["by"])
        self.cache["A"], self.cache["Y_pred"] = A, Y_pred

    def backward(self):
        p, X, Y = self.parameters, self.cache["X"], self.cache["Y"]
        A, Y_pred = self.cache["A"], self.cache["Y_pred"]
        gradients = {"d" + name: np.zeros_like(value) for name, value in p.items()}
        da_next = np.zeros((self.n_a, self.m))
        for t in reversed(range(self.T_x)):
            y_pred = Y_pred[:, :, t]
            dy_pred = -Y[:, :, t] / y_pred / self.m
            jacobian = y_pred[:, None] * (np.eye(self.n_y)[:, :, None] - y_pred[None])
            dz_y = np.einsum("km,kim->im", dy_pred, jacobian)
            gradients["dWya"] += dz_y @ A[:, :, t].T
            gradients["dby"] += np.sum(dz_y, axis=1, keepdims=True)
            da = p["Wya"].T @ dz_y + da_next
            dz_a = (1 - A[:, :, t + 1] ** 2) * da
            gradients["dWaa"] += dz_a @ A[:, :, t].T
            gradients["dWax"] += dz_a @ X[:, :, t].T
            gradients["dba"] += np.sum(dz_a, axis=1, keepdims=True)
            da_next = p["Waa"].T @ dz_a
        self.cache["gradients"] = gradients

    def train(self, steps, learning_rate=5e6):
        for _ in range(steps):
            self.forward()
            self.backward()
            for name in self.parameters:
                self.parameters[name] -= learning_rate * self.cache["gradients"]["d" + name]


if __name__ == "__main__":
    X = np.random.randn(3, 10, 6)
    Y = np.eye(4)[np.random.randint(4, size=(10, 6))].transpose(2, 0, 1)
    SimpleRNN(X, Y, 5).train(1000)
