# Python 3.9 is what the Pis have already; 2.0.2 is the last NumPy for it.
FROM python:3.9
RUN pip install --no-cache-dir numpy==2.0.2
