# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(http_test LABEL contract
  SOURCES unit/http/BaseUrlTest.cpp unit/http/BodySinkTest.cpp unit/http/ConnectionTest.cpp
    unit/http/ElsewhereTest.cpp unit/http/ExchangeTest.cpp unit/http/ProxyTest.cpp unit/http/ServerTest.cpp unit/http/TargetTest.cpp
    unit/http/ThroughProxyTest.cpp unit/http/TlsTest.cpp fakes/TestCertificate.cpp
  DEPS gridbridge::http Poco::NetSSL OpenSSL::Crypto)
