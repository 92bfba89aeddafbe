# ruff: noqa
import numpy as np


class LSTM:
    @staticmethod
    def init(input_size, hidden_size, fancy_forget_bias_init=3):
        WLSTM = np.random.randn(input_size + hidden_size + 1, 4 * hidden_size) / np.sqrt(
            input_size + hidden_size
        )
        WLSTM[0, :] = 0
        return WLSTM

    @staticmethod
    def forward(X, WLSTM, c0=None, h0=None):
        n, b, input_size = X.shape
        d = WLSTM.shape[1] // 4
        if c0 is None:
            c0 = np.zeros((b, d))
        if h0 is None:
            h0 = np.zeros((b, d))
        xphpb = WLSTM.shape[0]
        Hin = np.zeros((n, b, xphpb))
        Hout = np.zeros((n, b, d))
        IFOG = np.zeros((n, b, d * 4))
        IFOGf = np.zeros((n, b, d * 4))
        C = np.zeros((n, b, d))
        Ct = np.zeros((n, b, d))
        for t in range(n):
            prevh = Hout[t - 1] if t > 0 else h0
            Hin[t, :, 0] = 1
            Hin[t, :, 1 : input_size + 1] = X[t]
            Hin[t, :, input_size + 1 :] = prevh
            IFOG[t] = Hin[t].dot(WLSTM)
            IFOGf[t, :, : 3 * d] = 1.0 / (1.0 + np.exp(-IFOG[t, :, : 3 * d]))
            IFOGf[t, :, 3 * d :] = np.tanh(IFOG[t, :, 3 * d :])
            prevc = C[t - 1] if t > 0 else c0
            C[t] = IFOGf[t, :, :d] * IFOGf[t, :, 3 * d :] + IFOGf[t, :, d : 2 * d] * prevc
            Ct[t] = np.tanh(C[t])
            Hout[t] = IFOGf[t, :, 2 * d : 3 * d] * Ct[t]
        cache = {
            "WLSTM": WLSTM,
            "Hout": Hout,
            "IFOGf": IFOGf,
            "IFOG": IFOG,
            "C": C,
            "Ct": Ct,
            "Hin": Hin,
            "c0": c0,
            "h0": h0,
        }
        return Hout, C[t], Hout[t], cache

    @staticmethod
    def backward(dHout_in, cache):
        WLSTM, Hout, IFOGf, C, Ct, Hin, c0 = (
            cache[k] for k in ("WLSTM", "Hout", "IFOGf", "C", "Ct", "Hin", "c0")
        )
        n, b, d = Hout.shape
        input_size = WLSTM.shape[0] - d - 1
        dIFOG = np.zeros((n, b, 4 * d))
        dIFOGf = np.zeros((n, b, 4 * d))
        dWLSTM = np.zeros(WLSTM.shape)
        dC = np.zeros(C.shape)
        dX = np.zeros((n, b, input_size))
        dh0 = np.zeros((b, d))
        dc0 = np.zeros((b, d))
        dHout = dHout_in.copy()
        for t in reversed(range(n)):
            dIFOGf[t, :, 2 * d : 3 * d] = Ct[t] * dHout[t]
            dC[t] += (1 - Ct[t] ** 2) * (IFOGf[t, :, 2 * d : 3 * d] * dHout[t])
            if t > 0:
                dIFOGf[t, :, d : 2 * d] = C[t - 1] * dC[t]
                dC[t - 1] += IFOGf[t, :, d : 2 * d] * dC[t]
            else:
                dIFOGf[t, :, d : 2 * d] = c0 * dC[t]
                dc0 = IFOGf[t, :, d : 2 * d] * dC[t]
            dIFOGf[t, :, :d] = IFOGf[t, :, 3 * d :] * dC[t]
            dIFOGf[t, :, 3 * d :] = IFOGf[t, :, :d] * dC[t]
            dIFOG[t, :, 3 * d :] = (1 - IFOGf[t, :, 3 * d :] ** 2) * dIFOGf[t, :, 3 * d :]
            y = IFOGf[t, :, : 3 * d]
            dIFOG[t, :, : 3 * d] = (y * (1.0 - y)) * dIFOGf[t, :, : 3 * d]
            dWLSTM += np.dot(Hin[t].transpose(), dIFOG[t])
            dHin = dIFOG[t].dot(WLSTM.transpose())
            dX[t] = dHin[:, 1 : input_size + 1]
            if t > 0:
                dHout[t - 1, :] += dHin[:, input_size + 1 :]
            else:
                dh0 += dHin[:, input_size + 1 :]
        return dX, dWLSTM, dc0, dh0
